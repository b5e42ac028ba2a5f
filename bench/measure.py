"""
What the benches share: processes on a processor of their own, medians of runs of rounds, verdicts, tables.

A figure is measured in rounds, which are interleaved: in each, every contender is measured once, the first one changing from round to
round. Some rounds make a run, for which everything is started afresh. What is stated is the median of the runs' medians, with the least and most
of all rounds.
"""
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
JAVA = "/usr/share/java"
NETTY_JARS = ["common", "buffer", "transport", "codec", "handler", "resolver", "transport-native-epoll", "transport-native-unix-common"]


def more_files():
    """Ten thousand connections need as many descriptors; children inherit the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pinned(cpu, command):
    return ["taskset", "-c", str(cpu)] + command


def turned(names, round_number):
    """The order of a round: each begins with another contender."""
    first = round_number % len(names)
    return names[first:] + names[:first]


def summary(runs):
    """runs: a list of rounds' values for each run."""
    values = [value for run in runs for value in run]
    return {"median": statistics.median(statistics.median(run) for run in runs), "least": min(values), "most": max(values)}


def table(head, rows):
    """In Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def verdict(figure, target, at_least=False):
    return "reached" if (figure >= target if at_least else figure <= target) else "MISSED"


def netty_classpath(build, source):
    """Compiles a Java program against Debian's Netty; None, and why on stderr, where that can't be."""
    jars = [f"{JAVA}/netty-{jar}.jar" for jar in NETTY_JARS]
    if not all(os.path.exists(jar) for jar in jars):
        print("left out: netty (Debian's libnetty-java is not installed)", file=sys.stderr)
        return None
    folder = f"{build}/netty"
    try:
        subprocess.run(["javac", "-cp", ":".join(jars), "-d", folder, os.path.join(BENCH, source)], check=True, capture_output=True, text=True)
    except OSError:
        print("left out: netty (no javac)", file=sys.stderr)
        return None
    except subprocess.CalledProcessError as error:
        print(f"left out: netty ({error.stderr})", file=sys.stderr)
        return None
    return ":".join(jars + [folder])


def chosen(parser, given, known):
    """The names of a comma-separated option, or all."""
    names = given.split(",") if given else list(known)
    for name in names:
        if name not in known:
            parser.error(f"there is no {name!r}; there are: {', '.join(known)}")
    return names


def add_options(parser, rounds, seconds):
    parser.add_argument("build", help="the build folder, with -Dbench=enabled")
    parser.add_argument("--runs", type=int, default=1, help="of so many rounds each, everything started afresh (1)")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"of each run ({rounds})")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of one measurement ({seconds:g})")
    parser.add_argument("--json", help="a file for all that was measured")


def parse(parser):
    options = parser.parse_args()
    if options.runs < 1 or options.rounds < 1 or options.seconds <= 0:
        parser.error("--runs and --rounds are at least 1, --seconds more than 0")
    return options


def save(path, content):
    if path:
        with open(path, "w") as f:
            json.dump(content, f, indent=1)


@contextlib.contextmanager
def told(what):
    """Says on stderr how long it took."""
    start = time.time()
    yield
    print(f"{time.time() - start:5.0f} s  {what}", file=sys.stderr)
