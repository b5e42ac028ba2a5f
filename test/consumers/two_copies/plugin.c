#include "copy.h"

__attribute__((visibility("default"))) const copy_t *plugin_copy(void);
const copy_t *plugin_copy(void)
{
    return copy();
}
