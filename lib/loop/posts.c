/*
 * Posted tasks. Producers push onto one atomic word; only the push that finds the stack empty wakes the loop, so that a burst costs
 * one wake-up. The lowest bit of that word closes it, which makes "pushed before the end" and "refused" one atomic decision: a task
 * is either seen by the loop, which runs or cancels it, or its post answered UV_ESHUTDOWN.
 *
 * `senders` is raised before the word is touched and lowered after the wake-up: the loop closes its uv_async_t only when deaf is set
 * and no sender is left. All of it is seq_cst: a push that is only a release can be missed by libuv's relaxed look at `pending`.
 */
#include "loop/loop.h"

#include <assert.h>
#include <uv.h>

#define CLOSED   ((uintptr_t)1)
#define SLICE_NS 1000000 /* R9: 1 ms of tasks per turn */

static void wake(cvy_loop_t *loop)
{
    if (loop->driver && !atomic_load(&loop->posts.deaf)) loop->driver->wake(loop);
}

int cvy_loop_post_after(cvy_loop_t *loop, cvy_task_t *task, uint64_t delay_ms)
{
    cvy__posts_t *posts = &loop->posts;
    task->loop = loop;
    task->delay_ms = delay_ms;
    atomic_fetch_add(&posts->senders, 1);
    uintptr_t top = atomic_load(&posts->stack);
    do {
        if (top & CLOSED) {
            atomic_fetch_sub(&posts->senders, 1);
            return UV_ESHUTDOWN;
        }
        task->next = (cvy_task_t *)top;
    } while (!atomic_compare_exchange_weak(&posts->stack, &top, (uintptr_t)task));
    if (!top) wake(loop);
    atomic_fetch_sub(&posts->senders, 1);
    if (loop->shared && cvy_loop_in_thread(loop)) cvy__posts_hold(loop);
    return 0;
}

int cvy_loop_post(cvy_loop_t *loop, cvy_task_t *task)
{
    return cvy_loop_post_after(loop, task, 0);
}

void cvy_loop_wake(cvy_loop_t *loop)
{
    atomic_fetch_add(&loop->posts.senders, 1);
    wake(loop);
    atomic_fetch_sub(&loop->posts.senders, 1);
}

void cvy__posts_close(cvy_loop_t *loop)
{
    atomic_fetch_add(&loop->posts.senders, 1);
    if (!(atomic_fetch_or(&loop->posts.stack, CLOSED) & CLOSED)) wake(loop);
    atomic_fetch_sub(&loop->posts.senders, 1);
}

bool cvy__posts_closed(const cvy_loop_t *loop)
{
    return atomic_load_explicit(&loop->posts.stack, memory_order_acquire) & CLOSED;
}

void cvy__posts_deafen(cvy_loop_t *loop)
{
    atomic_store(&loop->posts.deaf, true);
    while (atomic_load(&loop->posts.senders))
        uv_sleep(0);
}

/* Moves the stack, turned round, behind what was taken before. */
static void take(cvy__posts_t *posts)
{
    uintptr_t top = atomic_load(&posts->stack);
    while (top & ~CLOSED)
        if (atomic_compare_exchange_weak(&posts->stack, &top, top & CLOSED)) break;
    cvy_task_t *task = (cvy_task_t *)(top & ~CLOSED), *first = NULL, *last = task;
    if (!task) return;
    while (task) {
        cvy_task_t *older = task->next;
        task->next = first;
        first = task;
        task = older;
    }
    if (posts->first)
        posts->last->next = first;
    else
        posts->first = first;
    posts->last = last;
}

static cvy_task_t *pop(cvy__posts_t *posts)
{
    cvy_task_t *task = posts->first;
    if (task) posts->first = task->next;
    return task;
}

static void run(cvy_task_t *task, int status)
{
    cvy_loop_t *loop = task->loop;
    cvy__loop_enter(loop);
    task->run(task, status);
    cvy__loop_leave(loop);
}

static void delay_over(cvy__entry_t *entry)
{
    cvy_task_t *task = CVY__OF(entry, cvy_task_t, entry);
    cvy__loop_release(task->loop);
    run(task, 0);
}

static void delay(cvy_loop_t *loop, cvy_task_t *task)
{
    uint64_t now = cvy_loop_now(loop);
    task->entry.next = NULL;
    task->entry.fire = delay_over;
    task->entry.due = task->delay_ms < CVY__NEVER - 1 - now ? now + task->delay_ms : CVY__NEVER - 1;
    cvy__loop_retain(loop);
    cvy__loop_arm(loop, &task->entry);
}

void cvy__posts_run(cvy_loop_t *loop)
{
    take(&loop->posts);
    if (!loop->posts.first) return;
    uint64_t until = loop->driver ? uv_hrtime() + SLICE_NS : 0;
    for (int64_t n = 0; n < loop->task_budget && !cvy__posts_closed(loop); n++) {
        cvy_task_t *task = pop(&loop->posts);
        if (!task) return;
        if (task->delay_ms)
            delay(loop, task);
        else
            run(task, 0);
        if (until && uv_hrtime() >= until) return;
    }
}

void cvy__posts_cancel(cvy_loop_t *loop)
{
    assert(cvy__posts_closed(loop));
    take(&loop->posts);
    for (cvy_task_t *task; (task = pop(&loop->posts));)
        run(task, UV_ECANCELED);
    cvy__entry_t *entry = cvy__wheel_take(&loop->wheel, delay_over);
    while (entry) {
        cvy__entry_t *next = entry->next;
        cvy__loop_release(loop);
        run(CVY__OF(entry, cvy_task_t, entry), UV_ECANCELED);
        entry = next;
    }
    cvy__posts_hold(loop);
}

bool cvy__posts_waiting(const cvy_loop_t *loop)
{
    return loop->posts.first || (atomic_load(&loop->posts.stack) & ~CLOSED);
}

void cvy__posts_hold(cvy_loop_t *loop)
{
    bool waiting = cvy__posts_waiting(loop);
    if (waiting == loop->posts.held) return;
    loop->posts.held = waiting;
    if (waiting)
        cvy__loop_retain(loop);
    else
        cvy__loop_release(loop);
}
