/* Every parser: meson.build makes one fuzzer of each driver in test/drive_parsers.h. What differs from its oracle aborts. M1, M2, B5, E7 */
#include "../test/drive_parsers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n <= 8192) FUZZ_DRIVE(data, n);
    return 0;
}
