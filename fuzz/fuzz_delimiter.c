/* Delimiters: the first bytes choose limit, number, and the delimiters themselves, the others are the stream. */
#include "stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cvy_delimiter_t d[CVY_DELIMITERS_MAX];
    if (n < 3) return 0;
    cvy_delimiter_opts_t o = {
        .delimiters = d, .count = 1 + (data[0] & 3), .keep_end = data[0] >> 2 & 1, .max_frame = 1 + (data[0] >> 3)
    };
    uint32_t seed = (uint32_t)(data[1] | data[2] << 8);
    data += 3;
    n -= 3;
    for (size_t k = 0; k < o.count; k++) {
        size_t len = n ? 1 + data[0] % CVY_DELIMITER_BYTES_MAX : 0;
        if (n < 1 + len) return 0;
        d[k] = (cvy_delimiter_t){ data + 1, len };
        data += 1 + len;
        n -= 1 + len;
    }
    fuzz_stage(&cvy_delimiter_stage, &o, data, n, seed, (size_t)o.max_frame + CVY_DELIMITER_BYTES_MAX);
    return 0;
}
