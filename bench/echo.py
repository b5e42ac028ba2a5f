"""
Echo servers against each other: python3 bench/echo.py BUILD_DIR [option]...; `sh bench/run.sh echo` builds and calls it.

Every contender is a server on processor 0, the load on processor 1. A ratio is always to the floor (raw epoll) in the same round. CPU is the
server's processor time per message, read from its processor clock at both ends of the span; calls to malloc are counted by the server's own
malloc (echo/count.c) likewise; peak memory is the most that was resident since the server's start. Debian's Netty brings no native transport:
it runs on NIO there, and has no local sockets.
"""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile

import measure
import picture

FLOOR = "raw epoll"
OURS = "conveyor"

# name: what follows the build folder, arguments behind the address
CONTENDERS = {
    FLOOR: ("echo_epoll", []),
    "raw epoll again": ("echo_epoll", []),
    "libuv tuned": ("echo_uv_tuned", []),
    "libuv guide": ("echo_uv_guide", []),
    "asio": ("echo_asio", []),
    "libevent evbuffer": ("echo_libevent", []),
    "libevent bufferevent": ("echo_libevent", ["bufferevent"]),
    "netty": (None, []),
    OURS: ("echo_conveyor", []),
}

# name: mode, transport, connections, bytes of a frame, frames under way, the column's title
SCENARIOS = {
    "pingpong": ("echo", "tcp", 1, 64, 1, "1 conn, 64 B"),
    "many": ("echo", "tcp", 50, 64, 1, "50 conns, 64 B"),
    "deep": ("echo", "tcp", 50, 64, 32, "50 conns, 64 B, 32 deep"),
    "large": ("echo", "tcp", 8, 16384, 4, "8 conns, 16 KiB, 4 deep"),
    "huge": ("echo", "tcp", 2, 1 << 20, 1, "2 conns, 1 MiB"),
    "connect": ("connect", "tcp", 8, 64, 1, "connect, echo, close"),
    "idle": ("idle", "tcp", 10000, 64, 1, "idle B/conn"),
    "many-unix": ("echo", "unix", 50, 64, 1, "unix: 50 conns, 64 B"),
    "deep-unix": ("echo", "unix", 50, 64, 32, "unix: 32 deep"),
    "large-unix": ("echo", "unix", 8, 16384, 4, "unix: 16 KiB"),
    "huge-unix": ("echo", "unix", 2, 1 << 20, 1, "unix: 1 MiB"),
}


class Server:
    """One contender, listening; stopped at the end of the `with`."""

    serial = 0

    def __init__(self, build, classes, name, transport, arguments=(), heap=False, cpu="0"):
        Server.serial += 1
        self.build = build
        self.address = f"tcp:{20000 + (os.getpid() * 50 + Server.serial) % 10000}"
        temporary = f"{tempfile.gettempdir()}/cvy-bench-{os.getpid()}-{Server.serial}"
        if transport == "unix":
            self.address = f"unix:{temporary}"
        program, own_arguments = CONTENDERS[name]
        command = ["java", "-XX:+UseSerialGC", "-cp", classes, "EchoNetty", self.address]
        self.counts = None
        if program:
            command = [f"{build}/bench/echo/{program}", self.address, *own_arguments, *arguments]
            self.counts = temporary + "-counts"
        environment = dict(os.environ, CVY_BENCH_COUNTS=self.counts or "", CVY_BENCH_HEAP="1" if heap else "")
        self.process = subprocess.Popen(measure.pinned(cpu, command), stdout=subprocess.PIPE, text=True, env=environment)
        ready = self.process.stdout.readline()
        if not ready.startswith("ready"):
            self.process.wait()
            raise RuntimeError(f"{name} does not listen on {self.address} (status {self.process.returncode})")
        self.empty = self.status("VmRSS")

    def status(self, field):
        """A field of /proc/PID/status that counts KiB, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field + ":"))

    def measure(self, scenario, warmup, seconds, cpu="1"):
        mode, _, connections, size, depth, *_ = scenario
        command = measure.pinned(cpu, [f"{self.build}/bench/echo/echo_load", mode, self.address, str(self.process.pid), str(connections),
                                       str(size), str(depth), str(warmup), str(seconds)])
        environment = dict(os.environ, CVY_BENCH_COUNTS=self.counts or "")
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=240, env=environment).stdout
        return {**json.loads(said), "peak_bytes": self.status("VmHWM"), "peak_above_start": self.status("VmHWM") - self.empty}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for path in (self.counts, self.address[5:]):
            if path and os.path.exists(path):
                os.unlink(path)


def available(build, wanted):
    classes = measure.netty_classpath(build, "echo/EchoNetty.java") if "netty" in wanted else None
    names = []
    for name in (n for n in CONTENDERS if n == FLOOR or n in wanted):
        program = CONTENDERS[name][0]
        if os.path.exists(f"{build}/bench/echo/{program}") if program else classes:
            names.append(name)
        elif program:
            print(f"left out: {name} (not installed)", file=sys.stderr)
    return names, classes


def run_idle(build, classes, names, scenario):
    rows = {}
    for name in names:
        with Server(build, classes, name, scenario[1], ["--idle"] if name == OURS else [], heap=True) as server:
            rows[name] = [server.measure(scenario, 0, 0)]
    return rows


def run_rounds(build, classes, names, scenario, options):
    """One run: servers started, and measured round by round."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name in names:
            try:
                servers[name] = stack.enter_context(Server(build, classes, name, scenario[1]))
            except RuntimeError as error:
                print(f"left out: {error}", file=sys.stderr)
        if "netty" in servers:
            servers["netty"].measure(scenario, 0, 8 if options.seconds >= 0.5 else 1)  # what is compiled while it runs
        rows = {name: [] for name in servers}
        for i in range(options.rounds):
            for name in measure.turned(list(servers), i):
                rows[name].append(servers[name].measure(scenario, options.seconds / 4, options.seconds))
        return rows


def summarise(runs):
    """Per contender: the medians, and throughput and CPU as ratios to the floor in the same round."""
    result = {}
    for name in runs[0]:
        fields = runs[0][name][0]
        result[name] = {field: measure.summary([[r[field] for r in run[name]] for run in runs]) for field in fields}
        for field, ratio in (("messages_per_s", "throughput_ratio"), ("cpu_ns_per_message", "cpu_ratio")):
            if field in fields:
                result[name][ratio] = measure.summary([[r[field] / f[field] for r, f in zip(run[name], run[FLOOR])] for run in runs])
    return result


def cell(result):
    if "rss_per_connection" in result:
        heap = result.get("heap_per_connection")
        return f"{result['rss_per_connection']['median']:.0f}" + (f" (heap {heap['median']:.0f})" if heap else "")
    throughput, cpu = result["throughput_ratio"], result["cpu_ratio"]
    return (f"{throughput['median']:.2f}/{cpu['median']:.2f} "
            f"({cpu['least']:.2f}-{cpu['most']:.2f})")


def ratio_table(results, names):
    rows = [[name] + [cell(results[k][name]) if name in results[k] else "-" for k in results] for name in names]
    return measure.table([""] + [SCENARIOS[k][5] for k in results], rows)


def figure_table(results, names):
    head = ["", "messages/s", "MB/s", "CPU ns/message", "server busy", "p50 us", "p99 us", "p99.9 us", "mallocs/message", "peak MB (above start)"]
    rows = []
    for key in results:
        for name in (n for n in names if n in results[key]):
            m = {field: value["median"] for field, value in results[key][name].items()}
            peak = f"{m['peak_bytes'] / 1e6:.1f} ({m['peak_above_start'] / 1e6:.1f})"
            title = f"{SCENARIOS[key][5]}: {name}"
            if "messages_per_s" not in m:
                rows.append([title] + ["-"] * 8 + [peak])
                continue
            mallocs = f"{m['mallocs_per_message']:.3g}" if "mallocs_per_message" in m else "-"
            rows.append([title, f"{m['messages_per_s']:,.0f}", f"{m['mb_per_s']:,.1f}", f"{m['cpu_ns_per_message']:,.0f}", f"{m['server_busy']:.0%}",
                         f"{m['p50_us']:.0f}", f"{m['p99_us']:.0f}", f"{m['p999_us']:.0f}", mallocs, peak])
    return measure.table(head, rows)


def draw(path, results, names):
    groups = [(SCENARIOS[k][5], {n: r["cpu_ratio"]["median"] for n, r in results[k].items()}) for k in results if k != "idle"]
    with open(path, "w") as f:
        f.write(picture.picture(groups, names, OURS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_options(parser, rounds=5, seconds=1.0)
    parser.add_argument("--scenarios", help="some of: " + ",".join(SCENARIOS))
    parser.add_argument("--contenders", help="some of: " + ",".join(CONTENDERS))
    parser.add_argument("--svg", help="a file for a picture of the CPU ratios")
    options = measure.parse(parser)
    keys = measure.chosen(parser, options.scenarios, SCENARIOS)
    names, classes = available(options.build, measure.chosen(parser, options.contenders, CONTENDERS))
    measure.more_files()
    runs = {key: [] for key in keys}
    for number in range(options.runs):
        for key in keys:
            with measure.told(f"run {number + 1}, {key}"):
                if SCENARIOS[key][0] == "idle":
                    runs[key].append(run_idle(options.build, classes, names, SCENARIOS[key]))
                else:
                    runs[key].append(run_rounds(options.build, classes, names, SCENARIOS[key], options))
    results = {key: summarise(runs[key]) for key in keys}
    print(f"throughput / server CPU per message, as ratios to {FLOOR}: medians of {options.runs} runs of {options.rounds} rounds of "
          f"{options.seconds:g} s (spread of the CPU ratio)\n")
    print(ratio_table(results, names) + "\n\n" + figure_table(results, names))
    measure.save(options.json, {"runs": options.runs, "rounds": options.rounds, "seconds": options.seconds, "results": results, "raw": runs})
    if options.svg:
        draw(options.svg, results, names)


if __name__ == "__main__":
    main()
