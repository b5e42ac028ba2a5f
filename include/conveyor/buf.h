/*
 * A buffer: a queue of bytes, as a chain of views into shared, reference-counted segments.
 *
 * Bytes come in at the tail and leave at the head. Nothing is copied but where a name says so (append of raw bytes, replace, keep,
 * compact, pullup). Every call is all-or-nothing: on UV_ENOMEM each buffer is as it was; more than SIZE_MAX bytes in one buffer are
 * UV_ENOMEM as well. A buffer has one user at a time, on any thread. A zeroed buffer is a valid empty one: it takes memory from the
 * pool of the first bytes that join it, else from the default allocator.
 *
 * Bytes that somebody can read never change. Appending goes on in place only in a segment that this buffer alone holds, at its
 * highest filled byte; prepending only into bytes that this view consumed while nobody else could see them, or the 16 that new
 * segments keep free. A split leaves those with the first part, sharing ends them.
 *
 *   seed A            seed B                 here
 *   readableBytes     size                   cvy_buf_len
 *   writableBytes     -                      cvy_buf_writable
 *   read(dst, n)      -                      cvy_buf_move(dst, b, n)
 *   peek              -                      cvy_buf_peek
 *   write(src, n)     writeBinary            cvy_buf_append
 *   write(&&src, n)   append(&&)             cvy_buf_move, cvy_buf_append_buf
 *   reserve           -                      cvy_buf_reserve
 *   -                 reserve(capacity)      cvy_buf_reserve_total
 *   tailroom          -                      cvy_buf_tail_views
 *   headroom          to<IoVecView>          cvy_buf_views
 *   advance           -                      cvy_buf_advance
 *   commit            -                      cvy_buf_commit
 *   -                 from<IoVecView>        cvy_buf_replace
 *   -                 slice                  cvy_buf_slice
 *   -                 copy                   cvy_buf_share
 *   -                 offset, seek, read*    cvy_cursor_t (cursor.h)
 *   -                 writeUI32 ...          cvy_buf_append_u32 ...
 */
#ifndef CONVEYOR_BUF_H
#define CONVEYOR_BUF_H

#include <conveyor/alloc.h>

CVY_BEGIN_DECLS

typedef struct cvy_view cvy_view_t;
typedef struct cvy_segment cvy_segment_t;

typedef struct cvy_buf {
    /* private */
    size_t len;
    cvy_view_t *head;
    cvy_view_t *tail;
    cvy_segment_t *spare; /* reserved, not yet written */
    uint64_t consumed;    /* bytes ever dropped from the head: the stream position of the first byte */
    cvy_pool_t *pool;
} cvy_buf_t;

#define CVY_BUF_INIT \
    {                \
        0            \
    }

/** An empty buffer that takes its segments from pool (NULL: see above). Allocates nothing. */
CVY_EXPORT void cvy_buf_init(cvy_buf_t *b, cvy_pool_t *pool);
/** Drops the bytes and what was reserved; b is empty and usable afterwards. */
CVY_EXPORT void cvy_buf_fini(cvy_buf_t *b);

static inline size_t cvy_buf_len(const cvy_buf_t *b)
{
    return b->len;
}

/* Bytes in */

/** Copies n bytes to the tail. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_append(cvy_buf_t *b, const void *bytes, size_t n);
/** Moves all of other to the tail of b, in O(1); merges neighbouring views. No memory is needed. Errors: UV_EINVAL (b itself). */
CVY_EXPORT int cvy_buf_append_buf(cvy_buf_t *b, cvy_buf_t *other);
/** Drops what b holds and takes over all of other, in O(1). Errors: UV_EINVAL (b itself). */
CVY_EXPORT int cvy_buf_take(cvy_buf_t *b, cvy_buf_t *other);
/**
 * Moves all of other to the tail of b for keeping: what is small for the segment that it pins (an eighth, or 128 bytes) is copied.
 *
 * Errors: UV_ENOMEM, UV_EINVAL (b itself).
 */
CVY_EXPORT int cvy_buf_keep(cvy_buf_t *b, cvy_buf_t *other);
/** Puts n bytes in front of the first: in place where its view owns room there, else in a small segment. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_prepend(cvy_buf_t *b, const void *bytes, size_t n);
/**
 * Appends foreign memory without copying it.
 *
 * Owns:   the buffers, which never write to it. free_cb(arg, base, n) runs once when none refers to it any more (n == 0: at once);
 *         NULL: the memory outlives all buffers.
 * Errors: UV_ENOMEM; free_cb is not called then.
 * Thread: free_cb may run on any thread, also after the loop is gone.
 */
CVY_EXPORT int cvy_buf_wrap(cvy_buf_t *b, void *base, size_t n, void (*free_cb)(void *arg, void *base, size_t n),
                            void *arg);
/** Replaces the content by copies of views; the old content stays on failure. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_replace(cvy_buf_t *b, const uv_buf_t *views, size_t count);

/* Room at the tail: reserve, write into the views, commit. Joining and sharing may take away room in place. */

/** Makes room for n more bytes. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_reserve(cvy_buf_t *b, size_t n);
/** Makes room for capacity bytes in all, those already held included. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_reserve_total(cvy_buf_t *b, size_t capacity);
/** Bytes that can be committed without allocating. */
CVY_EXPORT size_t cvy_buf_writable(const cvy_buf_t *b);
/** Fills at most max views of the room; returns how many. Valid until the next change of b. */
CVY_EXPORT size_t cvy_buf_tail_views(cvy_buf_t *b, uv_buf_t *out, size_t max);
/** Makes up to n bytes of the room readable; returns how many. */
CVY_EXPORT size_t cvy_buf_commit(cvy_buf_t *b, size_t n);

/* Bytes out */

/** Drops up to n bytes from the head; returns how many. */
CVY_EXPORT size_t cvy_buf_advance(cvy_buf_t *b, size_t n);
/** Moves the first min(n, len) bytes of src to the tail of dst without copying. Errors: UV_ENOMEM, UV_EINVAL (src itself). */
CVY_EXPORT int cvy_buf_move(cvy_buf_t *dst, cvy_buf_t *src, size_t n);
/** Splits the first n bytes off b into out, which it initialises. Errors: UV_EAGAIN (fewer than n), UV_ENOMEM; *out untouched. */
CVY_EXPORT int cvy_buf_split(cvy_buf_t *out, cvy_buf_t *b, size_t n);
/** Copies up to n bytes out, from the head; peek leaves them, read drops them. Returns how many. */
CVY_EXPORT size_t cvy_buf_peek(const cvy_buf_t *b, void *out, size_t n);
CVY_EXPORT size_t cvy_buf_peek_at(const cvy_buf_t *b, size_t offset, void *out, size_t n);
CVY_EXPORT size_t cvy_buf_read(cvy_buf_t *b, void *out, size_t n);
/** Fills at most max views of the bytes from the head; returns how many. Valid until the next change of b. */
CVY_EXPORT size_t cvy_buf_views(const cvy_buf_t *b, uv_buf_t *out, size_t max);
CVY_EXPORT size_t cvy_buf_view_count(const cvy_buf_t *b);

/* Sharing. out is initialised by the call and untouched on failure */

/** All of b a second time; storage is shared. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_share(cvy_buf_t *out, const cvy_buf_t *b);
/** Bytes [offset, offset + n) of b; storage is shared. Errors: UV_ERANGE, UV_ENOMEM. */
CVY_EXPORT int cvy_buf_slice(cvy_buf_t *out, const cvy_buf_t *b, size_t offset, size_t n);
/**
 * Call before b goes to another thread by a way that is not a post call: from then on its segments are counted atomically.
 *
 * Owns:   b forgets its pool and what was reserved. Who receives it moves the bytes into a buffer of a pool of its own thread.
 * Thread: the one that used b so far. Bytes shared with buffers that stay are safe to use there.
 */
CVY_EXPORT void cvy_buf_hand_over(cvy_buf_t *b);

/* Looking in */

/**
 * Finds a byte or a sequence at or behind offset from; *at is its offset.
 *
 * Errors: UV_EAGAIN (not there: go on from len - n + 1 when more came), UV_ERANGE (from > len), UV_EINVAL (n == 0); *at untouched.
 */
CVY_EXPORT int cvy_buf_find_byte(const cvy_buf_t *b, size_t from, uint8_t byte, size_t *at);
CVY_EXPORT int cvy_buf_find(const cvy_buf_t *b, size_t from, const void *seq, size_t n, size_t *at);
/** The first n bytes in one piece, copied together if they are not. Errors: UV_EAGAIN (fewer than n), UV_ENOMEM. */
CVY_EXPORT int cvy_buf_pullup(cvy_buf_t *b, size_t n, const uint8_t **out);
/** Copies what is held into segments of fitting size, where less than half of a larger one is held. Errors: UV_ENOMEM. */
CVY_EXPORT int cvy_buf_compact(cvy_buf_t *b);
/** Whether b holds these n bytes and no more. */
CVY_EXPORT bool cvy_buf_equal(const cvy_buf_t *b, const void *bytes, size_t n);

/* Integers: big endian; _le: little endian. append: UV_ENOMEM. read drops them: UV_EAGAIN (short), nothing dropped.
 * varint: LEB128 as in Protocol Buffers, 1 to 10 bytes; UV_EINVAL when it is more than 64 bits. */

#define CVY_BUF_INT(name, type)                                 \
    CVY_EXPORT int cvy_buf_append_##name(cvy_buf_t *b, type v); \
    CVY_EXPORT int cvy_buf_read_##name(cvy_buf_t *b, type *out);
CVY_BUF_INT(u8, uint8_t)
CVY_BUF_INT(u16, uint16_t)
CVY_BUF_INT(u32, uint32_t)
CVY_BUF_INT(u64, uint64_t)
CVY_BUF_INT(i8, int8_t)
CVY_BUF_INT(i16, int16_t)
CVY_BUF_INT(i32, int32_t)
CVY_BUF_INT(i64, int64_t)
CVY_BUF_INT(u16_le, uint16_t)
CVY_BUF_INT(u32_le, uint32_t)
CVY_BUF_INT(u64_le, uint64_t)
CVY_BUF_INT(i16_le, int16_t)
CVY_BUF_INT(i32_le, int32_t)
CVY_BUF_INT(i64_le, int64_t)
CVY_BUF_INT(varint, uint64_t)
#undef CVY_BUF_INT

CVY_END_DECLS
#endif
