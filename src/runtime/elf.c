/* SPDX-License-Identifier: MIT */
/* ELF headers and the first line of scripts, read with suspicion: elf(5), the System V ABI's chapters 4 and 5. */
#include "weir/elf.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "weir/kernel.h"

#define HEADERS_MAX  64    /* program headers looked at; real programs have some fifteen */
#define DYNAMIC_MAX  4096  /* entries of the dynamic section */
#define NEEDED_MAX   256   /* libraries looked at */
#define SECTIONS_MAX 256   /* section headers looked at; libraries have some thirty */
#define SYMBOLS_MAX  16384 /* dynamic symbols looked at */
#define NAME_BYTES   32    /* of a library's name: what tells them apart stands in front */
#define LINE_BYTES   256   /* of a script's first line: the kernel's BINPRM_BUF_SIZE */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__s390x__)
#define MACHINE EM_S390
#else
#define MACHINE EM_NONE
#endif
#define DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

/* How many of `size` bytes are there at the offset; the rest of `out` is zero. */
static size_t read_at(int fd, uint64_t offset, void *out, size_t size)
{
	size_t got = 0;

	memset(out, 0, size);
	if (offset > INT64_MAX - size)
		return 0;
	while (got < size) {
		long n = weir_syscall(SYS_pread64, fd, (char *)out + got, size - got, (off_t)(offset + got));

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* A piece of the file: headers lie side by side, and a system call for each would make every exec slower. */
struct window {
	int fd;
	size_t got;
	uint64_t offset;
	unsigned char bytes[256];
};

static bool read_entry(struct window *w, uint64_t offset, void *out, size_t size)
{
	if (offset > INT64_MAX - sizeof w->bytes)
		return false;
	if (offset < w->offset || offset - w->offset > w->got || w->got - (offset - w->offset) < size) {
		w->offset = offset;
		w->got = read_at(w->fd, offset, w->bytes, sizeof w->bytes);
	}
	if (w->got - (offset - w->offset) < size)
		return false;
	memcpy(out, w->bytes + (offset - w->offset), size);
	return true;
}

static bool header_at(struct window *w, const Elf64_Ehdr *h, unsigned i, Elf64_Phdr *out)
{
	return h->e_phoff <= INT64_MAX && read_entry(w, h->e_phoff + (uint64_t)i * sizeof *out, out, sizeof *out);
}

static unsigned headers_of(const Elf64_Ehdr *h)
{
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	return h->e_phnum < HEADERS_MAX ? h->e_phnum : HEADERS_MAX;
}

/* Where in the file the address is loaded from. */
static bool offset_of(struct window *w, const Elf64_Ehdr *h, uint64_t address, uint64_t *out)
{
	for (unsigned i = 0; i < headers_of(h); i++) {
		Elf64_Phdr p;

		if (header_at(w, h, i, &p) && p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz &&
		    p.p_offset <= INT64_MAX - p.p_filesz) {
			*out = p.p_offset + (address - p.p_vaddr);
			return true;
		}
	}
	return false;
}

static unsigned need_of(const char *name)
{
	static const struct {
		const char *begins;
		unsigned need;
	} known[] = {
		{"libc.so.6", WEIR_NEEDS_LIBC},        {"libc.musl-", WEIR_NEEDS_MUSL},
		{"libasan.so", WEIR_NEEDS_ASAN},       {"libclang_rt.asan", WEIR_NEEDS_ASAN},
		{"libcurl.so", WEIR_NEEDS_CURL},       {"libcurl-gnutls.so", WEIR_NEEDS_CURL},
		{"libcurl-nss.so", WEIR_NEEDS_CURL},   {"libssl.so", WEIR_NEEDS_OPENSSL},
		{"libgnutls.so", WEIR_NEEDS_GNUTLS},   {"libssl3.so", WEIR_NEEDS_NSS},
		{"libseccomp.so", WEIR_NEEDS_SECCOMP},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strncmp(name, known[i].begins, strlen(known[i].begins)) == 0)
			return known[i].need;
	}
	/* musl's own name for itself, without a version behind it. */
	return strcmp(name, "libc.so") == 0 ? WEIR_NEEDS_MUSL : 0;
}

/* The value of the first entry with the tag. */
static bool dynamic_value(struct window *w, const Elf64_Phdr *dynamic, int64_t tag, uint64_t *out)
{
	for (uint64_t i = 0; i < DYNAMIC_MAX && (i + 1) * sizeof(Elf64_Dyn) <= dynamic->p_filesz; i++) {
		Elf64_Dyn entry;

		if (!read_entry(w, dynamic->p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == tag) {
			*out = entry.d_un.d_val;
			return true;
		}
	}
	return false;
}

static unsigned read_needs(struct window *w, const Elf64_Ehdr *h, const Elf64_Phdr *dynamic)
{
	uint64_t table, strings;
	unsigned needs = 0, seen = 0;

	if (dynamic->p_offset > INT64_MAX / 2 || !dynamic_value(w, dynamic, DT_STRTAB, &table) ||
	    !offset_of(w, h, table, &strings))
		return 0;
	for (uint64_t i = 0; i < DYNAMIC_MAX && seen < NEEDED_MAX && (i + 1) * sizeof(Elf64_Dyn) <= dynamic->p_filesz; i++) {
		char name[NAME_BYTES];
		Elf64_Dyn entry;

		if (!read_entry(w, dynamic->p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag != DT_NEEDED || entry.d_un.d_val > INT64_MAX - strings)
			continue;
		seen++;
		read_at(w->fd, strings + entry.d_un.d_val, name, sizeof name - 1);
		name[sizeof name - 1] = '\0';
		needs |= need_of(name);
	}
	return needs;
}

/* A note that the Go linker leaves: the build id, of type 4 and the name "Go". */
static bool is_go_note(int fd, const Elf64_Phdr *p)
{
	struct {
		Elf64_Nhdr note;
		char name[4];
	} n;

	return read_at(fd, p->p_offset, &n, sizeof n) == sizeof n && n.note.n_namesz == 4 && n.note.n_type == 4 &&
	       memcmp(n.name, "Go\0", 4) == 0;
}

static void read_program(struct window *w, const Elf64_Ehdr *h, struct weir_elf *out)
{
	for (unsigned i = 0; i < headers_of(h); i++) {
		Elf64_Phdr p;

		if (!header_at(w, h, i, &p))
			continue;
		if (p.p_type == PT_INTERP) {
			size_t got = read_at(w->fd, p.p_offset, out->interpreter, sizeof out->interpreter);

			out->dynamic = true;
			if (got > p.p_filesz)
				memset(out->interpreter + p.p_filesz, 0, got - p.p_filesz);
			if (!memchr(out->interpreter, '\0', sizeof out->interpreter))
				out->interpreter[0] = '\0';
		} else if (p.p_type == PT_DYNAMIC) {
			out->needs = read_needs(w, h, &p);
		} else if (p.p_type == PT_NOTE && !out->go) {
			out->go = is_go_note(w->fd, &p);
		}
	}
}

/* "#! INTERPRETER [ARGUMENT]", as fs/binfmt_script.c reads it. */
static void read_script(int fd, struct weir_elf *out)
{
	char line[LINE_BYTES + 1];
	size_t length = read_at(fd, 2, line, LINE_BYTES - 2), at, end;

	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	at = strspn(line, " \t");
	end = at + strcspn(line + at, " \t");
	out->kind = WEIR_ELF_SCRIPT;
	if (end - at < sizeof out->interpreter)
		memcpy(out->interpreter, line + at, end - at);
	at = end + strspn(line + end, " \t");
	for (end = strlen(line); end > at && (line[end - 1] == ' ' || line[end - 1] == '\t');)
		end--;
	if (end - at >= sizeof out->argument)
		end = at + sizeof out->argument - 1;
	memcpy(out->argument, line + at, end - at);
}

void weir_elf_read(int fd, struct weir_elf *out)
{
	Elf64_Ehdr h;
	size_t got = read_at(fd, 0, &h, sizeof h);

	memset(out, 0, sizeof *out);
	if (got >= 2 && memcmp(&h, "#!", 2) == 0) {
		read_script(fd, out);
		return;
	}
	if (got < sizeof(Elf32_Ehdr) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return;
	out->kind = WEIR_ELF_PROGRAM;
	out->bits = h.e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64;
	out->machine = h.e_machine; /* at the same place in both classes */
	out->ours = got == sizeof h && h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_ident[EI_DATA] == DATA && h.e_machine == MACHINE;
	if (out->ours) {
		struct window w;

		w.fd = fd;
		w.offset = w.got = 0;
		read_program(&w, &h, out);
	}
}

/* The section of dynamic symbols, for which no program header stands. */
static bool dynamic_symbols(struct window *w, const Elf64_Ehdr *h, Elf64_Shdr *symbols, Elf64_Shdr *names)
{
	if (h->e_shentsize != sizeof *symbols || h->e_shoff > INT64_MAX / 2)
		return false;
	for (unsigned i = 0; i < h->e_shnum && i < SECTIONS_MAX; i++) {
		if (!read_entry(w, h->e_shoff + (uint64_t)i * sizeof *symbols, symbols, sizeof *symbols))
			return false;
		if (symbols->sh_type == SHT_DYNSYM)
			return symbols->sh_offset <= INT64_MAX / 2 && symbols->sh_link < h->e_shnum &&
			       read_entry(w, h->e_shoff + (uint64_t)symbols->sh_link * sizeof *names, names, sizeof *names) &&
			       names->sh_offset <= INT64_MAX / 2;
	}
	return false;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names) != 0)
		names++;
	return *names != NULL;
}

/* One step for each symbol, from the symbol to its name. */
static bool imports_one(struct window *w, int fd, const Elf64_Shdr *symbols, const Elf64_Shdr *names, const char *const *wanted)
{
	uint64_t count = symbols->sh_size / sizeof(Elf64_Sym);

	for (uint64_t i = 0; i < count && i < SYMBOLS_MAX; i++) {
		char name[NAME_BYTES];
		Elf64_Sym symbol;

		if (!read_entry(w, symbols->sh_offset + i * sizeof symbol, &symbol, sizeof symbol))
			return false;
		if (symbol.st_shndx != SHN_UNDEF || symbol.st_name == 0)
			continue;
		read_at(fd, names->sh_offset + symbol.st_name, name, sizeof name - 1);
		name[sizeof name - 1] = '\0';
		if (is_one_of(name, wanted))
			return true;
	}
	return false;
}

bool weir_elf_imports(int fd, const char *const *names)
{
	Elf64_Shdr symbols, strings;
	struct window w = {.fd = fd};
	Elf64_Ehdr h;

	if (read_at(fd, 0, &h, sizeof h) != sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != DATA)
		return false;
	return dynamic_symbols(&w, &h, &symbols, &strings) && imports_one(&w, fd, &symbols, &strings, names);
}

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_glibcs(const char *linker)
{
	static const char *const names[] = {"ld-linux", "ld64.so", "ld.so"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strncmp(linker, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

const char *weir_elf_unfit(const struct weir_elf *e)
{
	if (e->kind != WEIR_ELF_PROGRAM)
		return NULL;
	if (!e->ours)
		return e->bits == 32 ? "it is a 32-bit program, and weir's library has 64" : "it is for another machine";
	if (!e->dynamic)
		return NULL;
	if (strncmp(name_in(e->interpreter), "ld-musl", 7) == 0 || (e->needs & WEIR_NEEDS_MUSL))
		return "it uses the C library musl, and weir's needs glibc";
	if (!is_glibcs(name_in(e->interpreter)))
		return "its dynamic linker is not glibc's";
	if (e->needs & WEIR_NEEDS_ASAN)
		return "AddressSanitizer in it refuses a library that is loaded before its own";
	return NULL;
}

const char *weir_elf_unseen(const struct weir_elf *e)
{
	if (e->kind != WEIR_ELF_PROGRAM || !e->ours)
		return NULL;
	if (e->go)
		return "it is a Go program, which calls the kernel itself";
	if (!e->dynamic)
		return "it is linked statically, so no library can be put before it";
	return NULL;
}
