/*
 * Which edges of the two state machines the lives of this process have walked, told by the transport's hook (debug builds), and in which
 * phase each verb of closing was said. The table of legal edges is a second one, beside the library's own.
 */
#include "inner.h"

enum { SIDES = 2, STATES = 6, PHASES = CVY__CLOSED + 1, VERBS = 5 };

static const char *const state_names[SIDES][STATES] = {
    { "paused", "reading", "eof", "error", "closed", NULL },
    { "idle", "writing", "shutting", "shut", "error", "closed" },
};
static const char *const phase_names[PHASES] = { "connecting", "open", "draining", "lingering", "closing", "closed" };
static const char *const verb_names[VERBS] = { "graceful", "now", "reset", "shutdown", "shutdown_write" };

/* [from][to] */
static const bool legal[SIDES][STATES][STATES] = {
    { [CVY_READ_PAUSED] = { 0, 1, 1, 1, 1 },
      [CVY_READ_READING] = { 1, 0, 1, 1, 1 },
      [CVY_READ_EOF] = { 0, 0, 0, 0, 1 },
      [CVY_READ_ERROR] = { 0, 0, 0, 0, 1 } },
    { [CVY_WRITE_IDLE] = { 0, 1, 1, 0, 1, 1 },
      [CVY_WRITE_WRITING] = { 1, 0, 1, 0, 1, 1 },
      [CVY_WRITE_SHUTTING] = { 0, 0, 0, 1, 1, 1 },
      [CVY_WRITE_SHUT] = { 0, 0, 0, 0, 0, 1 },
      [CVY_WRITE_ERROR] = { 0, 0, 0, 0, 0, 1 } },
};

static struct {
    unsigned long edges[SIDES][STATES][STATES];
    unsigned long closes[VERBS][PHASES];
} walked[DRIVE_BACKENDS];

#ifndef NDEBUG
static void on_edge(const cvy_transport_t *t, cvy__side_t side, unsigned from, unsigned to)
{
    unsigned *state = side == CVY__SIDE_READ ? &d.read_state : &d.write_state;
    must(!d.t || t == d.t);
    must(*state == from);
    must(legal[side][from][to]);
    *state = to;
    if (side == CVY__SIDE_WRITE && to == CVY_WRITE_SHUT) d.shut = true;
    walked[d.backend].edges[side][from][to]++;
}

void coverage_hook(void)
{
    cvy__transport_edge_hook = on_edge;
}
#else
void coverage_hook(void)
{
}
#endif

void coverage_close(int verb)
{
    walked[d.backend].closes[verb][d.t->phase]++;
}

/* Why a verb can't be said in this phase. */
static const char *impossible(drive_backend_t backend, int phase)
{
    return phase == CVY__CONNECTING && backend != DRIVE_EMBEDDED ? "what is adopted is connected" : NULL;
}

static void print_edges(FILE *out, drive_backend_t backend, int side)
{
    for (int from = 0; from < STATES; from++)
        for (int to = 0; to < STATES; to++)
            if (legal[side][from][to])
                fprintf(out, "  %-5s %-8s -> %-8s %10lu\n", side ? "write" : "read", state_names[side][from],
                        state_names[side][to], walked[backend].edges[side][from][to]);
}

void drive_coverage_print(FILE *out, drive_backend_t backend)
{
    fprintf(out, "Walked on %s:\n", drive_backend_name(backend));
    print_edges(out, backend, 0);
    print_edges(out, backend, 1);
    for (int verb = 0; verb < VERBS; verb++)
        for (int phase = 0; phase < PHASES; phase++) {
            const char *why = impossible(backend, phase);
            fprintf(out, "  %-14s while %-10s %9lu%s%s\n", verb_names[verb], phase_names[phase],
                    walked[backend].closes[verb][phase], why ? "  impossible: " : "", why ? why : "");
        }
}

static int missing_edges(drive_backend_t backend)
{
    int missing = 0;
#ifndef NDEBUG
    for (int side = 0; side < SIDES; side++)
        for (int from = 0; from < STATES; from++)
            for (int to = 0; to < STATES; to++)
                missing += legal[side][from][to] && !walked[backend].edges[side][from][to];
#else
    (void)backend;
#endif
    return missing;
}

int drive_coverage_missing(drive_backend_t backend)
{
    int missing = missing_edges(backend);
    if (backend != DRIVE_EMBEDDED)
        return missing; /* closing has the same phases on all; on sockets some of them pass quickly */
    for (int verb = 0; verb < VERBS; verb++)
        for (int phase = 0; phase < PHASES; phase++)
            missing += !impossible(backend, phase) && !walked[backend].closes[verb][phase];
    return missing;
}
