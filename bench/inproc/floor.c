/*
 * The floor of the in-process bench: plain C by hand, that does no more than the task needs. Segments of 128 KiB from a free list, counted;
 * views of them linked to a queue. And the shortest way through a chain of stages: a function pointer each.
 */
#include <stdint.h>
#include <string.h>

#include "driver.h"

enum { SEGMENT = 128 * 1024, STAGES = 64, EVENTS = 10000, MOVES = 10000 };

typedef struct segment {
    struct segment *next;
    unsigned refs;
    uint8_t bytes[SEGMENT];
} segment_t;

typedef struct view {
    struct view *next;
    segment_t *segment;
    uint8_t *data;
    size_t len;
} view_t;

typedef struct queue {
    view_t *head, *tail;
    size_t len;
} queue_t;

static segment_t *free_segments;
static view_t *free_views;
static queue_t in, out;
static char piece[PIECE];

static segment_t *segment_take(void)
{
    segment_t *s = free_segments;
    if (s)
        free_segments = s->next;
    else if (!(s = malloc(sizeof *s)))
        abort();
    s->refs = 0;
    return s;
}

static inline view_t *view_take(segment_t *s, uint8_t *data, size_t len)
{
    view_t *v = free_views;
    if (v)
        free_views = v->next;
    else if (!(v = malloc(sizeof *v)))
        abort();
    s->refs++;
    *v = (view_t){ NULL, s, data, len };
    return v;
}

static inline void view_drop(view_t *v)
{
    segment_t *s = v->segment;
    v->next = free_views;
    free_views = v;
    if (--s->refs) return;
    s->next = free_segments;
    free_segments = s;
}

static void queue_drop(queue_t *q)
{
    for (view_t *v = q->head, *next; v; v = next) {
        next = v->next;
        view_drop(v);
    }
    *q = (queue_t){ 0 };
}

static void queue_view(queue_t *q, view_t *v)
{
    if (q->tail)
        q->tail->next = v;
    else
        q->head = v;
    q->tail = v;
    q->len += v->len;
}

static inline void append(queue_t *q, const void *bytes, size_t n)
{
    view_t *v = q->tail;
    if (!v || v->data + v->len + n > v->segment->bytes + SEGMENT) {
        segment_t *s = segment_take();
        v = view_take(s, s->bytes, 0);
        queue_view(q, v);
    }
    memcpy(v->data + v->len, bytes, n);
    v->len += n;
    q->len += n;
}

static long append_and_drain(int size)
{
    (void)size;
    for (int t = 0; t < TIMES; t++) {
        for (int i = 0; i < PIECES; i++) {
            append(&in, piece, PIECE);
            inproc_use(&in);
        }
        queue_drop(&in);
    }
    return TIMES * PIECES;
}

static void fill(int size)
{
    (void)size;
    queue_drop(&in);
    for (size_t n = 0; n < BLOCK; n += SEGMENT) {
        segment_t *s = segment_take();
        queue_view(&in, view_take(s, s->bytes, SEGMENT));
    }
}

static long split_frames(int size)
{
    long frames = 0;
    for (; in.len; frames++) {
        view_t *v = in.head, *frame;
        if (v->len == (size_t)size) {
            frame = v;
            in.head = v->next;
        } else {
            frame = view_take(v->segment, v->data, (size_t)size);
            v->data += size;
            v->len -= (size_t)size;
        }
        in.len -= (size_t)size;
        inproc_use(frame);
        view_drop(frame);
    }
    in.tail = NULL;
    return frames;
}

static inline void move(queue_t *to, queue_t *from)
{
    if (!from->head) return;
    if (to->tail)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->len += from->len;
    *from = (queue_t){ 0 };
}

static long move_chain(int size)
{
    (void)size;
    for (int i = 0; i < MOVES / 2; i++) {
        move(&out, &in);
        inproc_use(&out);
        move(&in, &out);
        inproc_use(&in);
    }
    return MOVES / 2 * 2;
}

/* Stages */

typedef struct stage {
    struct stage *next;
    void (*on_bytes)(struct stage *stage, queue_t *bytes);
} stage_t;

static stage_t stages[STAGES];

static void pass(stage_t *stage, queue_t *bytes)
{
    stage->next->on_bytes(stage->next, bytes);
    inproc_use(bytes); /* no jump in the place of a call: a stage has something to do afterwards */
}

static void take(stage_t *stage, queue_t *bytes)
{
    (void)stage;
    inproc_use(bytes);
}

static void link_stages(int size)
{
    for (int i = 0; i <= size; i++)
        stages[i] = (stage_t){ &stages[i + 1], i < size ? pass : take };
}

static long pass_on(int size)
{
    (void)size;
    for (int i = 0; i < EVENTS; i++)
        stages[0].on_bytes(&stages[0], &in);
    return EVENTS;
}

static const inproc_t benches[] = {
    { "append", NULL, append_and_drain, NULL },
    { "split", fill, split_frames, fill },
    { "move", fill, move_chain, NULL },
    { "pass", link_stages, pass_on, NULL },
    { NULL, NULL, NULL, NULL },
};

int main(void)
{
    return inproc_serve(benches);
}
