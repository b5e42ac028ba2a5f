/*
 * A connection's life chosen by the input: the first byte chooses the backend, the others are the driver's numbers. A broken promise aborts.
 * Sockets are much slower than the embedded transport, and so are rare.
 */
#include "../test/drive/drive.h"

typedef struct input {
    const uint8_t *at;
    const uint8_t *end;
} input_t;

static uint32_t next_number(void *arg, unsigned bytes)
{
    input_t *in = arg;
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes && in->at < in->end; i++)
        v = v << 8 | *in->at++;
    return v;
}

static bool more(void *arg)
{
    input_t *in = arg;
    return in->at < in->end;
}

static drive_backend_t choose(uint8_t byte)
{
    drive_backend_t backend = byte % 16 == 1 ? DRIVE_TCP : byte % 4 == 2 ? DRIVE_PIPE : DRIVE_EMBEDDED;
    return drive_backend_name(backend) ? backend : DRIVE_EMBEDDED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    input_t in = { data + 1, data + n };
    if (n >= 6 && n <= 4096) drive_life((drive_numbers_t){ next_number, more, &in, NULL }, choose(data[0]));
    return 0;
}
