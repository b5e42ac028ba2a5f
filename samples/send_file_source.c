/*
 * The file is read where it is needed, without waiting for a callback: send_file has nothing else to do meanwhile.
 */
#include "send_file_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int source_open(source_t *source, const char *path)
{
    uv_fs_t req;
    /* Not to wait for whoever may open the other end of a named pipe. */
    int err = source->file = uv_fs_open(NULL, &req, path, UV_FS_O_RDONLY | UV_FS_O_NONBLOCK, 0, NULL);
    uv_fs_req_cleanup(&req);
    if (err < 0) return err;
    err = uv_fs_fstat(NULL, &req, source->file, NULL);
    if (!err && (req.statbuf.st_mode & S_IFMT) != S_IFREG) err = UV_EINVAL;
    if (!err) source->size = (int64_t)req.statbuf.st_size;
    uv_fs_req_cleanup(&req);
    return err;
}

void source_close(source_t *source)
{
    uv_fs_t req;
    if (source->file >= 0) uv_fs_close(NULL, &req, source->file, NULL);
}

static int64_t read_at(const source_t *source, uv_buf_t into, int64_t at)
{
    uv_fs_t req;
    int64_t n = uv_fs_read(NULL, &req, source->file, &into, 1, at, NULL);
    uv_fs_req_cleanup(&req);
    return n;
}

int source_read_ahead(const source_t *source, cvy_buf_t *ahead, int64_t at, size_t n)
{
    while (cvy_buf_len(ahead) < n) {
        uv_buf_t room;
        int err = cvy_buf_reserve(ahead, BLOCK_BYTES);
        if (err) return err;
        cvy_buf_tail_views(ahead, &room, 1);
        int64_t got = read_at(source, room, at + (int64_t)cvy_buf_len(ahead));
        if (got <= 0) return got < 0 ? (int)got : UV_EOF;
        cvy_buf_commit(ahead, (size_t)got);
    }
    return 0;
}

static const char *explain(source_t *source, const char *came, int64_t at)
{
    int64_t i = 0;
    while (came[i] == source->block[i])
        i++;
    snprintf(source->why, sizeof source->why, "byte %" PRId64 " came back as 0x%02x, was sent as 0x%02x", at + i,
             (unsigned)(unsigned char)came[i], (unsigned)(unsigned char)source->block[i]);
    return source->why;
}

const char *source_compare(source_t *source, cvy_buf_t *bytes, int64_t *at)
{
    uv_buf_t view;
    while (cvy_buf_views(bytes, &view, 1)) {
        unsigned most = view.len < BLOCK_BYTES ? (unsigned)view.len : BLOCK_BYTES;
        int64_t n = read_at(source, uv_buf_init(source->block, most), *at);
        if (n <= 0) return n < 0 ? uv_strerror((int)n) : "more came back than was sent";
        if (memcmp(view.base, source->block, (size_t)n) != 0) return explain(source, view.base, *at);
        *at += n;
        cvy_buf_advance(bytes, (size_t)n);
    }
    return NULL;
}
