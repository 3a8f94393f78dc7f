#include "tests/server/certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/server/file.h"

#define VALID_S (30 * 86400)
#define SLACK_S 86400 /* for tests that shift a client's clock a little */

static int fill_in(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	static const unsigned char address[] = {127, 0, 0, 1};
	time_t now = time(NULL);
	/* Random enough to be unique, positive, and not 0. */
	uint8_t serial[8] = {1};
	unsigned char id[64];
	size_t id_bytes = sizeof id;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	memcpy(serial + 1, &ts.tv_nsec, 4);
	if (gnutls_x509_crt_set_version(crt, 3) < 0 || gnutls_x509_crt_set_key(crt, key) < 0 ||
	    gnutls_x509_crt_set_serial(crt, serial, sizeof serial) < 0 ||
	    gnutls_x509_crt_set_activation_time(crt, now - SLACK_S) < 0 ||
	    gnutls_x509_crt_set_expiration_time(crt, now + VALID_S) < 0 ||
	    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "localhost", strlen("localhost")) < 0 ||
	    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "localhost", strlen("localhost"), GNUTLS_FSAN_SET) <
		    0 ||
	    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, sizeof address, GNUTLS_FSAN_APPEND) < 0)
		return -1;
	/* Its own authority, so that a client can be given it as the one to trust. */
	if (gnutls_x509_crt_get_key_id(crt, 0, id, &id_bytes) < 0 || gnutls_x509_crt_set_subject_key_id(crt, id, id_bytes) < 0 ||
	    gnutls_x509_crt_set_basic_constraints(crt, 1, -1) < 0 ||
	    gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN) < 0 ||
	    gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0) < 0)
		return -1;
	return gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) < 0 ? -1 : 0;
}

static char *to_text(gnutls_datum_t *pem)
{
	char *text = strndup((const char *)pem->data, pem->size);

	gnutls_free(pem->data);
	return text;
}

static int export(struct certificate *c, gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	gnutls_datum_t pem;

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) < 0)
		return -1;
	c->certificate_pem = to_text(&pem);
	if (gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem) < 0)
		return -1;
	c->key_pem = to_text(&pem);
	return c->certificate_pem != NULL && c->key_pem != NULL ? 0 : -1;
}

int certificate_make(struct certificate *c)
{
	gnutls_x509_crt_t crt = NULL;
	gnutls_x509_privkey_t key = NULL;
	int result = -1;

	if (gnutls_x509_privkey_init(&key) >= 0 && gnutls_x509_crt_init(&crt) >= 0 &&
	    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) >= 0 &&
	    fill_in(crt, key) == 0 && export(c, crt, key) == 0)
		result = 0;
	if (crt != NULL)
		gnutls_x509_crt_deinit(crt);
	if (key != NULL)
		gnutls_x509_privkey_deinit(key);
	if (result != 0) {
		certificate_free(c);
		fprintf(stderr, "quotad: cannot make a certificate\n");
	}
	return result;
}

void certificate_free(struct certificate *c)
{
	free(c->certificate_pem);
	free(c->key_pem);
	c->certificate_pem = NULL;
	c->key_pem = NULL;
}

int certificate_write(const struct certificate *c, const char *path)
{
	return file_replace(path, c->certificate_pem);
}
