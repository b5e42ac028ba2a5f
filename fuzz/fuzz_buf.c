/*
 * Buffers against the flat oracle, with operations, lengths, segment sizes and failing allocations chosen by the input: two bytes each.
 * A difference, a leak or a broken invariant aborts.
 */
#include <string.h>

#include "../test/drive_buf.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const cvy_pool_opts_t sizes[] = {
        { .small_bytes = 64, .large_bytes = 64, .keep_bytes = 1000 },
        { .small_bytes = 64, .large_bytes = 4096 },
        { .small_bytes = 1024, .large_bytes = 65536 },
        { .small_bytes = 4096, .large_bytes = 131072, .keep_bytes = CVY_OFF },
    };
    input_t in = { data, data + n };
    drive_t d;
    if (n < 4 || n > 4096) return 0;
    uint32_t setup = next_number(&in);
    drive_init(&d, &sizes[setup % 4], (drive_source_t){ next_number, &in });
    d.memory.fail_one_in = setup / 4 % 8;
    d.memory.dice = setup;
    while (in.at < in.end)
        drive_step(&d);
    d.memory.fail_one_in = 0;
    drive_fini(&d);
    return 0;
}
