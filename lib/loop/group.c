/*
 * A group owns its loops and their threads. The first entry that fails leaves its code and stops all loops; a loop that is stopped
 * before its thread came to its entry ends without it.
 */
#include <conveyor/group.h>

#include <stdatomic.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/uv_driver.h"

typedef struct member {
    cvy_group_t *group;
    cvy_loop_t *loop;
    int id;
    bool started;
} member_t;

struct cvy_group {
    cvy_group_opts_t opts;
    int size;
    bool started;
    atomic_int result;
    member_t members[];
};

static int how_many(int loops)
{
    int processors = (int)uv_available_parallelism();
    switch (loops) {
    case CVY_GROUP_AUTO: return processors / 2 - 1 > 1 ? processors / 2 - 1 : 1;
    case CVY_GROUP_ALL: return processors;
    default: return loops > 0 ? loops : UV_EINVAL;
    }
}

int cvy_group_new(cvy_group_t **out, const cvy_group_opts_t *opts)
{
    static const cvy_group_opts_t none;
    if (!opts) opts = &none;
    int n = how_many(opts->loops), err = 0;
    if (n < 0) return n;
    cvy_group_t *group = cvy__calloc(1, sizeof *group + (size_t)n * sizeof *group->members);
    if (!group) return UV_ENOMEM;
    group->opts = *opts;
    for (int i = 0; i < n && !err; i++) {
        member_t *member = &group->members[i];
        member->group = group;
        member->id = i;
        err = cvy_loop_new(&member->loop, opts->loop_opts);
        group->size += !err;
    }
    if (err) {
        cvy_group_free(group);
        return err;
    }
    *out = group;
    return 0;
}

static int enter(cvy_loop_t *loop, void *arg)
{
    member_t *member = arg;
    cvy_group_t *group = member->group;
    int err = group->opts.entry ? group->opts.entry(loop, member->id, group->opts.params) : 0;
    int none = 0;
    if (err < 0) {
        atomic_compare_exchange_strong(&group->result, &none, err);
        cvy_group_stop(group);
    }
    return err;
}

/* Starts the threads of the members from first on; all or none. */
static int start_from(cvy_group_t *group, int first)
{
    if (group->started) return UV_EALREADY;
    group->started = true;
    for (int i = first; i < group->size; i++) {
        member_t *member = &group->members[i];
        int err = cvy__loop_start_entry(member->loop, enter, member);
        if (err) {
            cvy_group_stop(group);
            cvy_group_join(group);
            return err;
        }
        member->started = true;
    }
    return 0;
}

int cvy_group_start(cvy_group_t *group)
{
    return start_from(group, 0);
}

int cvy_group_run(cvy_group_t *group)
{
    int err = start_from(group, 1);
    if (!err) err = cvy__loop_run_entry(group->members[0].loop, enter, &group->members[0]);
    if (err) return err;
    return cvy_group_join(group);
}

void cvy_group_stop(cvy_group_t *group)
{
    for (int i = 0; i < group->size; i++)
        cvy_loop_stop(group->members[i].loop);
}

int cvy_group_join(cvy_group_t *group)
{
    for (int i = 0; i < group->size; i++)
        if (group->members[i].started) cvy_loop_join(group->members[i].loop);
    return atomic_load(&group->result);
}

void cvy_group_free(cvy_group_t *group)
{
    if (!group) return;
    cvy_group_stop(group);
    cvy_group_join(group);
    for (int i = 0; i < group->size; i++)
        cvy_loop_unref(group->members[i].loop);
    cvy__free(group);
}

int cvy_group_size(const cvy_group_t *group)
{
    return group->size;
}

cvy_loop_t *cvy_group_loop(const cvy_group_t *group, int i)
{
    return i >= 0 && i < group->size ? group->members[i].loop : NULL;
}
