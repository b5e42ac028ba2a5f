"""
Buffers and stages in one process: python3 bench/inproc.py BUILD_DIR [option]...; `sh bench/run.sh inproc` builds and calls it.

Every contender is a program on processor 0 that measures on demand, so that rounds are interleaved. Nanoseconds per operation; for a stage, how
much each one more adds: the slope over conveyors of 1 to 16 stages. The floor is plain C by hand. libevent copies where it splits. Debian has no folly.
The targets are nanoseconds of the machine that they were set on; as ratios to the floor, of the same round, they can be told on others.
"""
import argparse
import contextlib
import os
import subprocess
import sys

import measure

FLOOR = "plain C (the floor)"
OURS = "conveyor"
CONTENDERS = {
    FLOOR: "inproc_floor",
    "libevent evbuffer": "inproc_libevent",
    "netty": None,
    OURS: "inproc_conveyor",
    "conveyor (shared library)": "inproc_conveyor_shared",
}
LENGTHS = [1, 2, 4, 8, 16]

# key: its name in the programs, sizes (several: the slope counts), the title, what Conveyor must reach in ns, and the floor there, in ns
BENCHES = {
    "append": ("append", [0], "append 64 B x 1024 and drain, per 64 B", 2, 1.3),
    "split 64": ("split", [64], "split 64 B frames out of 1 MiB, per frame, no copy", 8, 4.3),
    "split 1024": ("split", [1024], "split 1 KiB frames, the same", 9, 5.7),
    "move": ("move", [0], "move a 1 MiB chain to another buffer", 2, 0.7),
    "pass": ("pass", LENGTHS, "a stage that passes bytes on, per stage", 1.5, 0.7),
    "skip": ("skip", LENGTHS, "a stage that does not implement it, per stage", 0.1, None),
}


class Contender:
    """A program that answers requests; ended with the `with`."""

    def __init__(self, build, program, classes):
        command = [f"{build}/bench/inproc/{program}"] if program else ["java", "-XX:+UseSerialGC", "-Dio.netty.leakDetection.level=disabled", "-cp", classes, "InprocNetty"]
        self.process = subprocess.Popen(measure.pinned(0, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name, size, seconds):
        """None: it does not have that."""
        self.process.stdin.write(f"{name} {size} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"{self.process.args[3:]} ended by itself within {name} {size}")
        return None if answer == "-" else float(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def slope(points):
    """Of the line of least squares."""
    n = len(points)
    x, y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    return sum((p[0] - x) * (p[1] - y) for p in points) / sum((p[0] - x) ** 2 for p in points)


def one_round(contender, key, seconds):
    """What counts, and the figure at each size."""
    name, sizes = BENCHES[key][:2]
    at = {size: contender.ask(name, size, seconds) for size in sizes}
    if None in at.values():
        return None
    return (slope(list(at.items())) if len(sizes) > 1 else at[sizes[0]]), at


def one_run(build, names, classes, keys, options):
    rows = {key: {name: [] for name in names} for key in keys}
    with contextlib.ExitStack() as stack:
        contenders = {name: stack.enter_context(Contender(build, CONTENDERS[name], classes)) for name in names}
        for key in keys:
            if "netty" in contenders:
                for size in BENCHES[key][1]:
                    contenders["netty"].ask(BENCHES[key][0], size, min(options.seconds * 20, 1))  # what is compiled while it runs
            for i in range(options.rounds):
                for name in measure.turned(names, i):
                    found = one_round(contenders[name], key, options.seconds)
                    if found:
                        rows[key][name].append(found)
    return rows


def summarise(runs, names, keys):
    results = {}
    for key in keys:
        results[key] = {}
        for name in (n for n in names if runs[0][key][n]):
            result = measure.summary([[counted for counted, _ in run[key][name]] for run in runs])
            floor = [[f / g for (f, _), (g, _) in zip(run[key][name], run[key][FLOOR])] for run in runs] if runs[0][key][FLOOR] else None
            result["to_floor"] = measure.summary(floor) if floor else None
            result["at"] = {size: measure.summary([[at[size] for _, at in run[key][name]] for run in runs]) for size in BENCHES[key][1]}
            results[key][name] = result
    return results


def cell(result):
    return f"{result['median']:.2f} ({result['least']:.2f}-{result['most']:.2f})"


def main_table(results, names):
    rows = []
    for key, found in results.items():
        target, floor = BENCHES[key][3:]
        row = [BENCHES[key][2]] + [cell(found[name]) if name in found else "-" for name in names]
        if OURS in found:
            ratio = found[OURS]["to_floor"]
            row += [f"<= {target:g}", measure.verdict(found[OURS]["median"], target)]
            row += [f"{ratio['median']:.2f} (<= {target / floor:.2f})" if ratio and floor else "-"]
        rows.append(row)
    return measure.table(["ns"] + names + ["target", OURS, "to the floor"] if OURS in names else ["ns"] + names, rows)


def length_table(results, names):
    rows = []
    for key in (k for k in results if len(BENCHES[k][1]) > 1):
        for name in (n for n in names if n in results[key]):
            rows.append([f"{BENCHES[key][2].split(',')[0]}: {name}"] + [f"{results[key][name]['at'][n]['median']:.2f}" for n in LENGTHS])
    return measure.table(["ns per event, stages:"] + [str(n) for n in LENGTHS], rows) if rows else ""


def available(build, wanted):
    classes = measure.netty_classpath(build, "inproc/InprocNetty.java") if "netty" in wanted else None
    names = []
    for name in (n for n in CONTENDERS if n in wanted):
        program = CONTENDERS[name]
        if os.path.exists(f"{build}/bench/inproc/{program}") if program else classes:
            names.append(name)
        elif program:
            print(f"left out: {name} (not installed)", file=sys.stderr)
    return names, classes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_options(parser, rounds=11, seconds=0.05)
    parser.add_argument("--benches", help="some of: " + ",".join(BENCHES))
    parser.add_argument("--contenders", help="some of: " + ",".join(CONTENDERS))
    options = measure.parse(parser)
    keys = measure.chosen(parser, options.benches, BENCHES)
    names, classes = available(options.build, [FLOOR] + measure.chosen(parser, options.contenders, CONTENDERS))
    runs = []
    for number in range(options.runs):
        with measure.told(f"run {number + 1}, in one process"):
            runs.append(one_run(options.build, names, classes, keys, options))
    results = summarise(runs, names, keys)
    print(f"nanoseconds: medians of {options.runs} runs of {options.rounds} rounds of {options.seconds:g} s (spread)\n")
    print(main_table(results, names) + "\n\n" + length_table(results, names))
    measure.save(options.json, {"runs": options.runs, "rounds": options.rounds, "seconds": options.seconds, "results": results})


if __name__ == "__main__":
    main()
