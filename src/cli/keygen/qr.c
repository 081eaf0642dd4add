#include "cli/keygen/qr.h"

#include <errno.h>
#ifdef HAVE_QRENCODE
#include <qrencode.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>

#include "util/cleanup.h"

const bool qr_is_built_in = true;

enum { BORDER = 4 }; /* what a reader may count on (ISO/IEC 18004, 9.1) */

DEFINE_CLEANUP(QRcode *, QRcode_free)

static bool is_dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return false;
	return code->data[y * code->width + x] & 1;
}

/* Two rows of modules a line. */
static void qr_draw(const QRcode *code)
{
	static const char *const blocks[] = {" ", "\u2580", "\u2584", "\u2588"};

	for (int y = -BORDER; y < code->width + BORDER; y += 2) {
		fputs("\033[30;107m", stdout);
		for (int x = -BORDER; x < code->width + BORDER; x++)
			fputs(blocks[is_dark(code, x, y) + 2 * is_dark(code, x, y + 1)], stdout);
		fputs("\033[0m\n", stdout);
	}
}

int qr_print(const char *data, size_t size)
{
	CLEANUP(cleanup_QRcode_free) QRcode *code = NULL;

	code = QRcode_encodeData((int)size, (const unsigned char *)data, 0, QR_ECLEVEL_M);
	if (!code)
		return -ENOMEM;
	qr_draw(code);
	sodium_memzero(code->data, (size_t)code->width * (size_t)code->width);
	return 0;
}

#else
const bool qr_is_built_in;

int qr_print(const char *data, size_t size)
{
	(void)data;
	(void)size;
	return -EOPNOTSUPP;
}
#endif
