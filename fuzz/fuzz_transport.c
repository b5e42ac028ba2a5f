/* A connection's life on the embedded transport, chosen by the input: two bytes each number. A broken promise aborts. */
#include "../test/drive_transport.h"

#include <stddef.h>

typedef struct input {
    const uint8_t *at;
    const uint8_t *end;
} input_t;

static uint32_t next_number(void *arg)
{
    input_t *in = arg;
    uint32_t v = 0;
    for (int i = 0; i < 2 && in->at < in->end; i++)
        v = v << 8 | *in->at++;
    return v;
}

static bool more(void *arg)
{
    input_t *in = arg;
    return in->at < in->end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    input_t in = { data, data + n };
    if (n >= 4 && n <= 4096) drive_transport((drive_numbers_t){ next_number, more, &in });
    return 0;
}
