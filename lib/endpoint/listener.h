/*
 * A listener from inside.
 *
 * A listener has one lane per loop that it serves on. Everything of a lane happens on its loop's thread, in one task: cvy__lane_nudge
 * (any thread) makes it run, and it looks at what is wanted (state, resting, places, asked) and follows. Lane 0 also speaks for the
 * listener: troubles, retries, the end. So no message can get lost or be stale: there are none.
 *
 * A lane's loop pointer is valid while `alive`, which changes under the lock, on the loop's thread: every loop tells its lanes when it ends.
 *
 * Memory: refs counts users (together one), queued tasks, accepted connections, unfinished acceptors, attached lanes, and the run itself.
 */
#ifndef CVY_ENDPOINT_LISTENER_H
#define CVY_ENDPOINT_LISTENER_H

#include <conveyor/listener.h>
#include <conveyor/timer.h>
#include <conveyor/watch.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "base/system_socket.h"
#include "endpoint/address.h"
#include "endpoint/places.h"
#include "loop/loop.h"
#include "transport/pair.h"
#include "transport/stream.h"

typedef struct cvy__acceptor cvy__acceptor_t;
typedef struct cvy__accepted cvy__accepted_t;

/* One kind of acceptor. All but bind run on the lane's thread. */
typedef struct cvy__acceptor_ops {
    int (*bind)(cvy__acceptor_t *a);              /* binds and listens; a->text gets the real address */
    int (*prepare)(cvy__acceptor_t *a);           /* once, before set: what may fail */
    void (*set)(cvy__acceptor_t *a, bool accept); /* accept, or do not; called again with the same answer too */
    void (*close)(cvy__acceptor_t *a);            /* once, if bound; cvy__acceptor_closed follows, now or later */
    int (*build)(cvy__accepted_t *c, cvy_transport_t **out); /* on the connection's loop. On failure drop follows */
    void (*drop)(cvy__accepted_t *c);                        /* any thread: closes what was accepted and not built */
} cvy__acceptor_ops_t;

/* One lane. */
typedef struct cvy__lane {
    cvy_listener_t *listener;
    cvy_loop_t *loop;
    cvy_task_t task;
    cvy__resident_t resident;  /* lane 0 keeps its loop alive; the others are guests */
    cvy__maker_t maker;        /* of its open connections */
    atomic_size_t connections; /* those, and the ones on their way */
    bool alive, posted;        /* under the lock */
    bool attached;             /* resident is in the loop's list */
    bool drained;
} cvy__lane_t;

struct cvy__acceptor {
    const cvy__acceptor_ops_t *ops;
    cvy__lane_t *lane;
    cvy__address_t address;
    char text[CVY__URI_MAX + 1]; /* with the real port */
    bool bound, prepared, closed;
    bool keeps;         /* what it accepts stays on its lane: every lane has a socket for this address */
    bool adopted;       /* fd was open before; it is ours once the listener has started */
    bool shown;         /* has on_started of its own: not one of several sockets for one address */
    atomic_int trouble; /* a code that lane 0 has not yet looked at */
    cvy_socket_t fd;
    cvy__file_id_t file;
    cvy_watch_t *watch;             /* listen_socket.c */
    cvy__acceptor_thread_t *thread; /* listen_thread.c */
    uv_pipe_t *pipe;                /* listen_pipe.c */
    bool waiting;                   /* clients, as far as we know */
    cvy__link_t name;               /* inproc.c: in the list of names */
    cvy__link_t queue;
    size_t queued;
};

/* One accepted connection, until there is a transport for it. */
struct cvy__accepted {
    cvy__lane_t *lane;
    cvy__acceptor_t *acceptor;
    cvy_task_t task;
    struct sockaddr_storage peer; /* of fd; family 0: not known */
    cvy_socket_t fd;              /* what was accepted: one of these three */
    cvy__stream_t *stream;
    cvy__pair_link_t *pair;
};

enum { CVY__ASKED_SHUTDOWN = 1, CVY__ASKED_DRAIN = 2 };

struct cvy_listener {
    cvy_listener_opts_t opts;
    cvy__shared_opts_t *shared;
    uv_mutex_t lock; /* lanes' alive and posted */
    atomic_uint refs, users;
    atomic_int state;
    atomic_int asked;
    atomic_int failure;
    atomic_bool started; /* lanes and acceptors stand */
    atomic_bool resting; /* out of something: no accepting until the retry */
    atomic_bool episode;
    atomic_bool finished;     /* on_shutdown was called */
    atomic_bool cut;          /* loop 0 ends */
    atomic_bool waiting;      /* listen_and_wait */
    atomic_size_t delivering; /* callbacks of connections that are on some stack */
    atomic_size_t pending;    /* acceptors not yet closed, and connections between two threads */
    cvy__places_t places;     /* of max_connections */
    size_t n_addresses, n_lanes, n_acceptors;
    char **addresses;
    char *owner; /* opts.owner; NULL: none */
    struct cvy__stop *stop;
    cvy__lane_t *lanes;
    cvy__acceptor_t *acceptors;
    cvy_timer_t retry, drain;
    bool closing;
    char message[CVY__MESSAGE_MAX];
};

void cvy__listener_ref(cvy_listener_t *l);
void cvy__listener_unref(cvy_listener_t *l);

/* listener_state.c: every change goes through these. Thread: any. */

bool cvy__listener_edge(cvy_listener_state_t from, cvy_listener_state_t to);
/* Takes the edge if the state is from. Answers what it found there. */
cvy_listener_state_t cvy__listener_move(cvy_listener_t *l, cvy_listener_state_t from, cvy_listener_state_t to);
void cvy__listener_set_closed(cvy_listener_t *l);

/* lane.c */

/* Makes the lane's task run. Thread: any. */
void cvy__lane_nudge(cvy__lane_t *lane);
void cvy__lanes_nudge(cvy_listener_t *l);
/* Both lanes' first task, which attaches it. False: its loop has ended. */
bool cvy__lane_open(cvy__lane_t *lane);
/* Closes the lane's acceptors. */
void cvy__lane_close_acceptors(cvy__lane_t *lane);

/* accepted.c: from an acceptor, on any thread. A place is held before the accept, and let go when that fails. */

bool cvy__acceptor_wanted(const cvy__acceptor_t *a);
bool cvy__place_hold(cvy_listener_t *l); /* false: at the limit; a nudge follows when there is room */
void cvy__place_let_go(cvy_listener_t *l);
/* Uses the place: hands *what (fd, stream or pair is set) to a lane; only: to the acceptor's own. */
void cvy__acceptor_accepted(cvy__acceptor_t *a, const cvy__accepted_t *what, bool only);
/* The accept failed: lets the place go. True: it was that one connection (or nobody waited), go on; false: wait for set. */
bool cvy__acceptor_refused(cvy__acceptor_t *a, int err);
/* Something is wrong with more than one connection: lane 0 will look at it. */
void cvy__acceptor_trouble(cvy__acceptor_t *a, int err);
void cvy__acceptor_closed(cvy__acceptor_t *a);
/* As the lane's maker has it: one of its connections is gone. */
void cvy__lane_gone(cvy__maker_t *maker, cvy_transport_t *t);
/* Gracefully closes the lane's connections. */
void cvy__lane_drain(cvy__lane_t *lane);

/* listener_run.c: on lane 0's thread. */

void cvy__listener_follow(cvy_listener_t *l); /* looks at what happened */
void cvy__listener_cut(cvy_listener_t *l);    /* the loop ends */
void cvy__listener_check_end(cvy_listener_t *l);

/* stop.c: signals that stop it, on lane 0's thread. start writes the message; end is fine at any time, and again. */

int cvy__stop_start(cvy_listener_t *l);
void cvy__stop_end(cvy_listener_t *l);

/* permissions.c: mode and owner of a local socket. Each writes the message when it fails: UV_EINVAL, UV_ENAMETOOLONG, UV_ENOENT, UV_ENOTSUP. */

/* Whether what the options say can be had at the acceptor's address. */
int cvy__permissions_valid(cvy__acceptor_t *a);
/* Fills in how's mode, user and group. Looks names up. */
int cvy__permissions_file(cvy__acceptor_t *a, cvy__unix_listen_t *how);
/* Says that the system refused the "mode" or the "owner"; answers err. */
int cvy__permissions_refused(cvy__acceptor_t *a, const char *which, int err);
/* Sets the mode of a pipe that is bound. */
int cvy__permissions_pipe(cvy__acceptor_t *a);

/* adopted.c: listening on what is open already. Both write the message when they fail. */

int cvy__adopted_bind(cvy__acceptor_t *a);
/* Calls bind for each of the passed descriptors that a systemd:// address means. UV_ENOENT: there is none. */
int cvy__adopted_each(cvy_listener_t *l, const cvy__address_t *address,
                      int (*bind)(cvy_listener_t *l, const cvy__address_t *one));
/* How many that may be. */
size_t cvy__adopted_most(const cvy_listener_t *l);

/* The kinds */

extern const cvy__acceptor_ops_t cvy__accept_socket_ops; /* listen_socket.c, or listen_thread.c on Windows */
extern const cvy__acceptor_ops_t cvy__accept_pipe_ops;   /* listen_pipe.c */
extern const cvy__acceptor_ops_t cvy__accept_inproc_ops; /* inproc.c */

/* listen_common.c: tcp and unix sockets, however they are accepted. */

int cvy__socket_acceptor_bind(cvy__acceptor_t *a);
void cvy__socket_acceptor_unbind(cvy__acceptor_t *a);
int cvy__socket_acceptor_build(cvy__accepted_t *c, cvy_transport_t **out);
void cvy__socket_acceptor_drop(cvy__accepted_t *c);

/* inproc.c: the dialing side. The link waits at the listener of that name as in a backlog. UV_ECONNREFUSED, UV_ENOMEM; then it is still the
 * caller's. Thread: any. */
int cvy__inproc_connect(const char *name, cvy__pair_link_t *link);

#endif
