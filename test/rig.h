/*
 * A rig for one stage: the stage in an embedded transport, and behind it a sink that writes down what comes out.
 *
 *   rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .width = 2 } };
 *   rig_open(&r);
 *   rig_feed(&r, "\0\2hi", 4);
 *   rig_expect(&r, "hi", NULL);
 *   rig_close(&r);                     checks that nothing is left
 */
#ifndef CVY_TEST_RIG_H
#define CVY_TEST_RIG_H

#include <conveyor/conveyor.h>

typedef struct rig {
    const cvy_stage_t *stage;
    const void *opts;
    const cvy_transport_opts_t *transport;
    bool handle;       /* errors end at the sink */
    bool hold;         /* frames are kept in `kept` instead of written down */
    size_t suspend_at; /* the sink suspends in so manieth frame; 0: never; SIZE_MAX: in each */
    size_t close_at;   /* closes (now) in it */
    size_t remove_at;  /* removes the stage in it */
    bool no_cache;     /* the pool keeps no free segments, so that rig_memory says what is in use */
    bool half_close;   /* for rig_open without transport options */
    void (*on_frame)(struct rig *r, cvy_ctx_t *ctx, cvy_buf_t *frame); /* before it is written down */
    void *arg;

    /* what came of it */
    cvy_embedded_t *e;
    cvy_ctx_t *ctx;  /* of the stage */
    cvy_ctx_t *sink; /* of the sink */
    uint8_t *text;   /* each frame: its length in 4 bytes, then its bytes */
    size_t len, cap;
    size_t frames;
    size_t errors;
    cvy_error_t error;       /* the last one */
    size_t after_error;      /* frames after the first error */
    size_t suspended_frames; /* frames while reading was suspended before they came */
    bool read_closed;
    int cause; /* of the end; 1: it has not ended */
    cvy_buf_t kept;
    cvy_buf_t *list; /* with hold: the frames, each on its own */
    size_t list_cap;
} rig_t;

int rig_try(rig_t *r);   /* what cvy_embedded_new answers */
void rig_open(rig_t *r); /* must succeed */
void rig_close(rig_t *r);
void rig_feed(rig_t *r, const void *bytes, size_t n);
/* Two reads, the second from `at` on. */
void rig_feed_cut(rig_t *r, const void *bytes, size_t n, size_t at);
/* Reads of so many bytes. */
void rig_feed_pieces(rig_t *r, const void *bytes, size_t n, size_t piece);
/* Reads of random lengths from 1 to most. */
void rig_feed_random(rig_t *r, const void *bytes, size_t n, size_t most, uint32_t *seed);
void rig_resume(rig_t *r);
/* The frames so far are these texts, and no others. NULL ends. */
void rig_expect(const rig_t *r, ...);
/* Writes from behind the stage. */
void rig_write(rig_t *r, const void *bytes, size_t n);
bool rig_sent(const rig_t *r, const void *bytes, size_t n);
size_t rig_live(const rig_t *r); /* segments */
size_t rig_memory(void);         /* bytes of the segments of all rigs */
uint32_t rig_random(uint32_t *seed);

/* Feeds input whole, cut in two at every byte, byte by byte and at random: always the same frames and the same error code.
 * r is a pattern, not opened. */
void rig_cut_everywhere(const rig_t *r, const void *bytes, size_t n);
/* For every n: the n-th allocation fails. Nothing leaks, and the connection works or is closed with UV_ENOMEM. */
void rig_fail_every_allocation(const rig_t *r, const void *bytes, size_t n, size_t piece);

#endif
