/* SPDX-License-Identifier: MIT */
/* What a program's file says of itself, also when it is damaged on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/elf.h"

/* A small program: header, three program headers, interpreter, dynamic section, strings. */
struct image {
	Elf64_Ehdr h;
	Elf64_Phdr load, interp, dynamic, note;
	char interpreter[64];
	Elf64_Dyn entry[5];
	char strings[128];
	Elf64_Nhdr go;
	char go_name[4];
};

static uint16_t this_machine(void)
{
	Elf64_Ehdr h;
	int fd = open("/proc/self/exe", O_RDONLY);

	assert_int_equal(read(fd, &h, sizeof h), sizeof h);
	close(fd);
	return h.e_machine;
}

static struct image image_of(const char *interpreter, const char *needed)
{
	struct image i;

	memset(&i, 0, sizeof i);
	memcpy(i.h.e_ident, ELFMAG, SELFMAG);
	i.h.e_ident[EI_CLASS] = ELFCLASS64;
	i.h.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	i.h.e_machine = this_machine();
	i.h.e_phoff = offsetof(struct image, load);
	i.h.e_phentsize = sizeof(Elf64_Phdr);
	i.h.e_phnum = 4;
	i.load.p_type = PT_LOAD;
	i.load.p_vaddr = 0x10000;
	i.load.p_filesz = sizeof i;
	i.interp.p_type = interpreter ? PT_INTERP : PT_NULL;
	i.interp.p_offset = offsetof(struct image, interpreter);
	i.interp.p_filesz = interpreter ? strlen(interpreter) + 1 : 0;
	snprintf(i.interpreter, sizeof i.interpreter, "%s", interpreter ? interpreter : "");
	i.dynamic.p_type = PT_DYNAMIC;
	i.dynamic.p_offset = offsetof(struct image, entry);
	i.dynamic.p_filesz = sizeof i.entry;
	i.entry[0].d_tag = DT_NEEDED;
	i.entry[0].d_un.d_val = 1;
	i.entry[1].d_tag = DT_NEEDED;
	i.entry[1].d_un.d_val = 64;
	i.entry[2].d_tag = DT_STRTAB;
	i.entry[2].d_un.d_ptr = 0x10000 + offsetof(struct image, strings);
	snprintf(i.strings + 1, 60, "%s", needed);
	snprintf(i.strings + 64, 60, "libc.so.6");
	return i;
}

static struct weir_elf read_bytes(const void *bytes, size_t size)
{
	struct weir_elf e;
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, size), size);
	weir_elf_read(fd, &e);
	close(fd);
	return e;
}

static struct weir_elf read_image(const struct image *i)
{
	return read_bytes(i, sizeof *i);
}

static void a_program_for_glibc_may_be_preloaded(void **state)
{
	struct image i = image_of("/lib64/ld-linux-x86-64.so.2", "libssl.so.3");
	struct weir_elf e = read_image(&i);

	(void)state;
	assert_int_equal(e.kind, WEIR_ELF_PROGRAM);
	assert_true(e.ours && e.dynamic && !e.go);
	assert_string_equal(e.interpreter, "/lib64/ld-linux-x86-64.so.2");
	assert_int_equal(e.needs, WEIR_NEEDS_OPENSSL | WEIR_NEEDS_LIBC);
	assert_null(weir_elf_unfit(&e));
	assert_null(weir_elf_unseen(&e));
}

static void musl_asan_other_classes_and_machines_are_unfit(void **state)
{
	struct image i = image_of("/lib/ld-musl-x86_64.so.1", "libcurl.so.4");
	struct weir_elf e = read_image(&i);

	(void)state;
	assert_non_null(strstr(weir_elf_unfit(&e), "musl"));
	i = image_of("/lib64/ld-linux-x86-64.so.2", "libasan.so.8");
	e = read_image(&i);
	assert_non_null(strstr(weir_elf_unfit(&e), "AddressSanitizer"));
	i = image_of("/system/bin/linker64", "libz.so");
	e = read_image(&i);
	assert_non_null(strstr(weir_elf_unfit(&e), "dynamic linker"));
	i = image_of("/lib/ld-linux.so.2", "libz.so");
	i.h.e_ident[EI_CLASS] = ELFCLASS32;
	e = read_image(&i);
	assert_non_null(strstr(weir_elf_unfit(&e), "32-bit"));
	i = image_of("/lib64/ld-linux-x86-64.so.2", "libz.so");
	i.h.e_machine = EM_MIPS;
	e = read_image(&i);
	assert_non_null(strstr(weir_elf_unfit(&e), "another machine"));
}

static void static_and_go_programs_are_unseen(void **state)
{
	struct image i = image_of(NULL, "");
	struct weir_elf e = read_image(&i);

	(void)state;
	assert_null(weir_elf_unfit(&e));
	assert_non_null(strstr(weir_elf_unseen(&e), "statically"));
	i = image_of("/lib64/ld-linux-x86-64.so.2", "libpthread.so.0");
	i.note.p_type = PT_NOTE;
	i.note.p_offset = offsetof(struct image, go);
	i.go.n_namesz = 4;
	i.go.n_type = 4;
	memcpy(i.go_name, "Go\0", 4);
	e = read_image(&i);
	assert_true(e.go && e.dynamic);
	assert_non_null(strstr(weir_elf_unseen(&e), "Go"));
}

static void a_scripts_first_line_is_read_as_the_kernel_reads_it(void **state)
{
	static const struct {
		const char *text, *interpreter, *argument;
	} lines[] = {
		{"#!/bin/sh\nexit 0\n", "/bin/sh", ""},
		{"#! /usr/bin/env  -S python3 -u \t\nimport os\n", "/usr/bin/env", "-S python3 -u"},
		{"#!\t/bin/sh -e", "/bin/sh", "-e"},
		{"#!", "", ""},
		{"#!\n", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct weir_elf e = read_bytes(lines[i].text, strlen(lines[i].text));

		assert_int_equal(e.kind, WEIR_ELF_SCRIPT);
		assert_string_equal(e.interpreter, lines[i].interpreter);
		assert_string_equal(e.argument, lines[i].argument);
	}
}

static void damaged_files_are_read_without_harm(void **state)
{
	struct image good = image_of("/lib64/ld-linux-x86-64.so.2", "libcurl.so.4");
	static const uint64_t evil[] = {0, 1, UINT64_MAX, INT64_MAX, INT64_MAX - 8, UINT64_MAX / 2 + 1, 1ULL << 62, 0xffffffff};
	struct weir_elf e;

	(void)state;
	for (size_t at = 0; at + 8 <= sizeof good; at += 4) {
		for (size_t k = 0; k < sizeof evil / sizeof evil[0]; k++) {
			struct image i = good;

			memcpy((char *)&i + at, &evil[k], 8);
			e = read_image(&i);
			assert_non_null(memchr(e.interpreter, '\0', sizeof e.interpreter));
			weir_elf_unfit(&e);
		}
	}
	for (size_t size = 0; size < sizeof good; size += 3)
		read_bytes(&good, size);
	memset(good.interpreter, 'x', sizeof good.interpreter);
	good.interp.p_filesz = UINT64_MAX;
	e = read_image(&good);
	assert_non_null(memchr(e.interpreter, '\0', sizeof e.interpreter));
}

static char *script_in(const char *dir, const char *name, const char *text)
{
	static char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void commands_are_found_and_followed_to_what_runs(void **state)
{
	char dir[] = "/tmp/weir-elf.XXXXXX", search[64], text[600];
	struct weir_executable x;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(search, sizeof search, "/nowhere:%s:/bin", dir);
	fd = weir_executable_find("sh", search, &x);
	assert_true(fd >= 0 && !x.script && x.elf.kind == WEIR_ELF_PROGRAM && x.elf.dynamic);
	close(fd);
	snprintf(text, sizeof text, "#!%s\n", script_in(dir, "inner", "#!/usr/bin/env -i A=1 sh\n"));
	script_in(dir, "outer", text);
	fd = weir_executable_find("outer", search, &x);
	assert_true(fd >= 0 && x.script && x.where == 2 && x.elf.kind == WEIR_ELF_PROGRAM && x.elf.dynamic);
	close(fd);
	script_in(dir, "dangling", "#!/no/such/interpreter\n");
	assert_int_equal(weir_executable_find("dangling", search, &x), -1);
	assert_int_equal(x.where, 1);
	snprintf(text, sizeof text, "#!%s/circle\n", dir);
	script_in(dir, "circle", text);
	assert_int_equal(weir_executable_find("circle", search, &x), -1);
	assert_int_equal(weir_executable_find("no-such-command", search, &x), -1);
	assert_int_equal(weir_executable_find(dir, search, &x), -1);
	assert_int_equal(weir_executable_find("", search, &x), -1);
	snprintf(text, sizeof text, "rm -r '%s'", dir);
	assert_int_equal(system(text), 0);
}

static void a_set_group_id_program_of_another_group_gains_rights(void **state)
{
	char path[] = "/tmp/weir-elf.XXXXXX";
	struct weir_executable x;
	int fd = mkstemp(path);

	(void)state;
	if (geteuid() != 0) {
		close(fd);
		unlink(path);
		skip();
	}
	assert_int_equal(fchown(fd, 65534, 65534), 0);
	assert_int_equal(fchmod(fd, 02755), 0);
	assert_true(weir_executable_of(fd, NULL, &x));
	assert_true(x.set_id);
	assert_int_equal(fchmod(fd, 04755), 0);
	assert_true(weir_executable_of(fd, NULL, &x));
	assert_true(x.set_id);
	assert_int_equal(fchmod(fd, 0755), 0);
	assert_true(weir_executable_of(fd, NULL, &x));
	assert_false(x.set_id);
	close(fd);
	unlink(path);
}

/* A header, two sections (symbols, their names), two symbols: one that is left to others, one of its own. */
struct symbols {
	Elf64_Ehdr h;
	Elf64_Shdr section[2];
	Elf64_Sym symbol[3];
	char names[64];
};

static struct symbols symbols_of(const char *left, const char *own)
{
	struct symbols s;

	memset(&s, 0, sizeof s);
	s.h = image_of(NULL, "").h;
	s.h.e_shoff = offsetof(struct symbols, section);
	s.h.e_shentsize = sizeof(Elf64_Shdr);
	s.h.e_shnum = 2;
	s.section[0] =
		(Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = offsetof(struct symbols, names), .sh_size = sizeof s.names};
	s.section[1] =
		(Elf64_Shdr){.sh_type = SHT_DYNSYM, .sh_offset = offsetof(struct symbols, symbol), .sh_size = sizeof s.symbol};
	s.symbol[1].st_name = 1;
	s.symbol[2].st_name = 32;
	s.symbol[2].st_shndx = 1;
	snprintf(s.names + 1, 31, "%s", left);
	snprintf(s.names + 32, 31, "%s", own);
	return s;
}

static bool imports(const void *bytes, size_t size, const char *name)
{
	const char *const names[] = {"never", name, NULL};
	int fd = memfd_create("library", MFD_CLOEXEC);
	bool does;

	assert_int_equal(write(fd, bytes, size), size);
	does = weir_elf_imports(fd, names);
	close(fd);
	return does;
}

static void a_library_imports_what_it_leaves_to_others(void **state)
{
	struct symbols s = symbols_of("connect", "sendto");

	(void)state;
	assert_true(imports(&s, sizeof s, "connect"));
	assert_false(imports(&s, sizeof s, "sendto"));
	assert_false(imports(&s, sizeof s, "conn"));
	s.names[0] = 'x';
	assert_true(imports(&s, sizeof s, "connect"));
	s.h.e_shnum = 0;
	assert_false(imports(&s, sizeof s, "connect"));
}

static void damaged_symbols_are_read_without_harm(void **state)
{
	(void)state;
	for (size_t at = 0; at < sizeof(struct symbols); at++) {
		struct symbols s = symbols_of("connect", "sendto");

		((unsigned char *)&s)[at] ^= 0xff;
		(void)imports(&s, sizeof s, "connect");
		(void)imports(&s, at, "connect");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_for_glibc_may_be_preloaded),
		cmocka_unit_test(musl_asan_other_classes_and_machines_are_unfit),
		cmocka_unit_test(static_and_go_programs_are_unseen),
		cmocka_unit_test(a_scripts_first_line_is_read_as_the_kernel_reads_it),
		cmocka_unit_test(damaged_files_are_read_without_harm),
		cmocka_unit_test(a_library_imports_what_it_leaves_to_others),
		cmocka_unit_test(damaged_symbols_are_read_without_harm),
		cmocka_unit_test(commands_are_found_and_followed_to_what_runs),
		cmocka_unit_test(a_set_group_id_program_of_another_group_gains_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
