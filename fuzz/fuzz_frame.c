/* Length-field framing: the first bytes choose a layout, the others are the stream. */
#include "stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int widths[] = { 1, 2, 3, 4, 8, CVY_FRAME_VARINT, 0, 5 };
    static const int64_t maxima[] = { 1, 60, 300, 5000 };
    if (n < 6) return 0;
    const cvy_frame_opts_t o = { .width = widths[data[0] & 7],
                                 .little_endian = data[0] >> 3 & 1,
                                 .includes_header = data[0] >> 4 & 1,
                                 .max_frame = maxima[data[0] >> 5 & 3],
                                 .offset = data[1] & 15,
                                 .strip = (data[1] >> 4) - 1,
                                 .adjustment = (int8_t)data[2] };
    uint32_t seed = (uint32_t)(data[3] | data[4] << 8 | data[5] << 16);
    fuzz_stage(&cvy_frame_stage, &o, data + 6, n - 6, seed, (size_t)o.max_frame + 32);
    return 0;
}
