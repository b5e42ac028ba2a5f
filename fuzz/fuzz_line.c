/* Lines: the first byte chooses the options, the others are the stream. */
#include "stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3) return 0;
    const cvy_line_opts_t o = { .lone_cr = (cvy_lone_cr_t)(data[0] & 3),
                                .keep_end = data[0] >> 2 & 1,
                                .max_line = 1 + (data[0] >> 3) };
    fuzz_stage(&cvy_line_stage, &o, data + 3, n - 3, (uint32_t)(data[1] | data[2] << 8), (size_t)o.max_line + 2);
    return 0;
}
