/* A self-signed certificate for localhost and 127.0.0.1, made in memory. */
#ifndef QUOTAD_CERTIFICATE_H
#define QUOTAD_CERTIFICATE_H

struct certificate {
	char *certificate_pem; /* owned; freed by certificate_free */
	char *key_pem;
};

/* 0, or -1 with a line on stderr. */
int certificate_make(struct certificate *c);
void certificate_free(struct certificate *c);

/* Writes the certificate, not the key, in place atomically. 0, or -1 with errno. */
int certificate_write(const struct certificate *c, const char *path);

#endif
