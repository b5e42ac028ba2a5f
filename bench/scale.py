"""
How Conveyor grows: python3 bench/scale.py BUILD_DIR [option]...; `sh bench/run.sh scale` builds and calls it.

  loops        two loops on one port against one, with a stage that computes: the load sleeps and shares the two processors with them
  connections  server CPU per message from 1 to 10,000 connections, as ratio to raw epoll's at the same number
  timers       set and cancelled in a callback, while so many are armed; libuv's heap beside them
  posts        tasks posted into one loop by 1 to 4 threads, and wake-ups per burst
  fairness     p99 of 100 ping-pong connections with one more that floods, against without it
"""
import argparse
import contextlib
import json
import subprocess

import echo
import inproc
import measure

WORK = 100000  # steps of the computing stage: about 50 us
FLOOD = 16384  # frames of 64 B under way on the connection that floods: 1 MiB
COUNTS = [1, 10, 100, 1000, 10000]
TIMERS = [1000, 10000, 100000, 1000000]
THREADS = [1, 2, 3, 4]
LOOPS = {
    "one loop": [],
    "two loops, one accepts": ["--loops", "2"],
    "two loops, each accepts": ["--loops", "2", "--reuse-port"],
}


class Report:
    """Lines of a table with target and verdict, and all that was measured."""

    def __init__(self):
        self.rows, self.raw = [], []

    def add(self, what, runs, unit, target=None, at_least=False, note=""):
        found = measure.summary(runs)
        digits = 0 if found["median"] >= 1000 else 2
        shown = f"{found['median']:,.{digits}f} ({found['least']:,.{digits}f}-{found['most']:,.{digits}f}) {unit}"
        goal, verdict = "-", "-"
        if target is not None:
            goal = f"{'>=' if at_least else '<='} {target:,g}"
            verdict = measure.verdict(found["median"], target, at_least)
        self.rows.append([what, shown, goal, verdict, note])
        self.raw.append({"what": what, "unit": unit, "target": target, "verdict": verdict, **found})


def median_of(runs, pick):
    return measure.summary([[pick(r) for r in run] for run in runs])["median"]


def loops_run(options):
    rows = {name: [] for name in LOOPS}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(echo.Server(options.build, None, echo.OURS, "tcp", ["--work", str(WORK), *arguments], cpu="0,1"))
                   for name, arguments in LOOPS.items()}
        for i in range(options.rounds):
            for name in measure.turned(list(LOOPS), i):
                rows[name].append(servers[name].measure(("wait", "tcp", 64, 64, 1), options.seconds / 4, options.seconds, cpu="0,1"))
    return rows


def loops(options, report):
    runs = [loops_run(options) for _ in range(options.runs)]
    one = [run["one loop"] for run in runs]
    for name in list(LOOPS)[1:]:
        ratios = [[b["messages_per_s"] / a["messages_per_s"] for a, b in zip(first, run[name])] for first, run in zip(one, runs)]
        rates = [median_of([run["one loop"] for run in runs], lambda r: r["messages_per_s"]), median_of([run[name] for run in runs], lambda r: r["messages_per_s"])]
        report.add(f"{name}: throughput, one loop = 1", ratios, "x", 1.8, True, f"{rates[0]:,.0f} -> {rates[1]:,.0f} messages/s")


def connections_run(options, names):
    rows = {count: [] for count in COUNTS}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(echo.Server(options.build, None, name, "tcp")) for name in names}
        for count in COUNTS:
            for i in range(options.rounds):
                rows[count].append({name: servers[name].measure(("echo", "tcp", count, 64, 1), options.seconds / 4, options.seconds)
                                    for name in measure.turned(names, i)})
    return rows


def connections(options, report):
    names = [echo.FLOOR, echo.OURS]
    runs = [connections_run(options, names) for _ in range(options.runs)]

    def ratios(count):
        return [[r[echo.OURS]["cpu_ns_per_message"] / r[echo.FLOOR]["cpu_ns_per_message"] for r in run[count]] for run in runs]

    base = measure.summary(ratios(1))["median"]
    for count in COUNTS:
        floor, ours = (median_of([run[count] for run in runs], lambda r, n=name: r[n]["cpu_ns_per_message"]) for name in names)
        grown = [[ratio / base for ratio in run] for run in ratios(count)]
        report.add(f"{count} connections: growth of CPU per message beyond raw epoll's", grown, "x", 1.15,
                   note=f"{ours:,.0f} ns, raw epoll {floor:,.0f} ns: {ours / floor:.2f}")


def timers_run(options):
    rows = {}
    with contextlib.ExitStack() as stack:
        programs = {"wheel": "../scale/scale_timers", "libuv": "../scale/scale_timers_uv"}
        asked = {name: stack.enter_context(inproc.Contender(options.build, program, None)) for name, program in programs.items()}
        for count in TIMERS:
            for bench in ("set", "cancel", "anew"):
                for i in range(options.rounds):
                    for name in measure.turned(list(asked), i):
                        rows.setdefault((count, bench, name), []).append(asked[name].ask(bench, count, options.seconds / 4))
    return rows


def timers(options, report):
    runs = [timers_run(options) for _ in range(options.runs)]
    for count in TIMERS:
        for bench, what, target in (("set", "each set", 50), ("cancel", "each cancelled", 50), ("anew", "one at random set anew", None)):
            heap = median_of([run[count, bench, "libuv"] for run in runs], lambda ns: ns)
            report.add(f"{count:,} timers, {what}", [run[count, bench, "wheel"] for run in runs], "ns", target, note=f"libuv's {heap:.1f} ns")


def posts(options, report):
    runs = []
    for _ in range(options.runs):
        runs.append([])
        for i in range(options.rounds):
            row = {}
            for threads in measure.turned(THREADS, i):
                said = subprocess.run([f"{options.build}/bench/scale/scale_posts", str(threads), str(options.seconds)], check=True, capture_output=True, text=True)
                row[threads] = json.loads(said.stdout)
            runs[-1].append(row)
    for threads in THREADS:
        woken = median_of(runs, lambda r, n=threads: r[n]["wakes_per_1000"])
        report.add(f"posts by {threads} threads into one loop", [[r[threads]["posts_per_s"] / 1e6 for r in run] for run in runs], "million/s", 5, True,
                   f"{woken:.2f} wake-ups per 1,000")
    # One that wakes while the burst goes on may have run all of it so far, and sleep again.
    for state, target in (("busy", 1), ("asleep", None)):
        report.add(f"wake-ups by a burst of 1,000 posts, the loop {state}", [[r[1][f"burst_{state}"] for r in run] for run in runs], "", target)


def fairness_run(options, names):
    rows = []
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(echo.Server(options.build, None, name, "tcp")) for name in names}
        for i in range(options.rounds):
            row = {}
            for name in measure.turned(names, i):
                row[name] = (servers[name].measure(("echo", "tcp", 100, 64, 1), options.seconds / 4, options.seconds),
                             servers[name].measure(("flood", "tcp", 100, 64, FLOOD), options.seconds / 4, options.seconds))
            rows.append(row)
    return rows


def fairness(options, report):
    names = [echo.FLOOR, echo.OURS]
    runs = [fairness_run(options, names) for _ in range(options.runs)]
    for name in names:
        quiet, flooded, rate = (median_of(runs, pick) for pick in (lambda r: r[name][0]["p99_us"], lambda r: r[name][1]["p99_us"],
                                                                   lambda r: r[name][1]["flood_mb_per_s"]))
        ratios = [[r[name][1]["p99_us"] / r[name][0]["p99_us"] for r in run] for run in runs]
        report.add(f"{name}: p99 of 100 connections beside one that floods, without it = 1", ratios, "x", 3 if name == echo.OURS else None,
                   note=f"{quiet:.0f} -> {flooded:.0f} us; the flood {rate:.0f} MB/s")


PARTS = {"loops": loops, "connections": connections, "timers": timers, "posts": posts, "fairness": fairness}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_options(parser, rounds=5, seconds=0.5)
    parser.add_argument("--parts", help="some of: " + ",".join(PARTS))
    options = measure.parse(parser)
    keys = measure.chosen(parser, options.parts, PARTS)
    measure.more_files()
    report = Report()
    for key in keys:
        with measure.told(key):
            PARTS[key](options, report)
    print(f"medians of {options.runs} runs of {options.rounds} rounds of {options.seconds:g} s (spread)\n")
    print(measure.table(["what", "figure", "target", "verdict", ""], report.rows))
    measure.save(options.json, {"runs": options.runs, "rounds": options.rounds, "seconds": options.seconds, "results": report.raw})


if __name__ == "__main__":
    main()
