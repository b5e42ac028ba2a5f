"""Starts samples and talks to them. Waits are for events (a line, an exit, bytes); an alarm ends what hangs."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ''
TEMP = tempfile.mkdtemp(prefix='cvy')
RSS_LIMIT_KIB = 32 * 1024
running = []


def sanitized():
    """Sanitizers have a memory of their own, and no hurry."""
    try:
        with open(os.path.join(BUILD, 'meson-info', 'intro-buildoptions.json'), encoding='utf-8') as f:
            return any(o['name'] == 'b_sanitize' and o['value'] not in ('none', []) for o in json.load(f))
    except OSError:
        return False


def check(condition, *told):
    if not condition:
        raise AssertionError(' '.join(str(t) for t in told))


def same(seen, wanted):
    check(seen == wanted, 'seen', repr(seen)[:600], 'wanted', repr(wanted)[:600])


def program(name):
    return os.path.join(BUILD, 'samples', name)


# Starts a program as a service manager does: sockets from descriptor 3 on, and LISTEN_PID.
MANAGER = """
import fcntl, os, sys
count = int(os.environ['LISTEN_FDS'])
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1:1 + count]]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[1 + count], sys.argv[1 + count:])
"""


def managed(command, sockets, **variables):
    """What subprocess needs to start command with these sockets passed to it."""
    fds = [s.fileno() for s in sockets]
    env = {**os.environ, 'LISTEN_FDS': str(len(fds)), **variables}
    return {'args': [sys.executable, '-c', MANAGER, *(str(fd) for fd in fds), *command], 'pass_fds': fds, 'env': env}


class Sample:
    """A running sample; popen: how it is started, where that is another way."""

    def __init__(self, name, *args, listens=1, popen=None):
        self.errors_file = tempfile.TemporaryFile(dir=TEMP)
        self.process = subprocess.Popen(**(popen or {'args': [program(name), *args]}), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors_file)
        running.append(self)
        self.listening = []
        for _ in range(listens):
            line = self.line()
            check(line.startswith('listening on '), name, args, 'said', line, self.errors())
            self.listening.append(line[len('listening on '):])

    def line(self):
        return self.process.stdout.readline().decode().rstrip('\n')

    def errors(self):
        self.errors_file.seek(0)
        return self.errors_file.read().decode()

    def peak_kib(self):
        return peak_of(self.process.pid)

    def kick(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it as a user does, and wants status 0."""
        self.kick(number)
        status = self.wait()
        check(status == 0, 'status', status, self.errors())

    def wait(self):
        status = self.process.wait()
        running.remove(self)
        self.process.stdout.close()
        return status

    def kill(self):
        self.process.kill()
        self.wait()


def run(name, *args, status=0):
    """Runs a sample to its end; returns stdout and stderr."""
    done = subprocess.run([program(name), *args], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    check(done.returncode == status, name, args, 'status', done.returncode, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode(), done.stderr.decode()


def peak_of(pid):
    """KiB; 0 when it has just ended."""
    try:
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            found = re.search(r'VmHWM:\s+(\d+)', f.read())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def run_measured(name, *args, status=0):
    """The same; returns stdout and the peak of its memory in KiB, as seen until shortly before its end."""
    peak = 0
    with subprocess.Popen([program(name), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
        out = process.stdout.read().decode()
    check(process.returncode == status, name, args, 'status', process.returncode, out)
    return out, peak


def dial(uri):
    scheme, rest = uri.split('://', 1)
    if scheme == 'unix':
        s = socket.socket(socket.AF_UNIX)
        s.connect(rest if rest[0] != '@' else '\0' + rest[1:])
        return s
    host, port = rest.rsplit(':', 1)
    s = socket.create_connection((host.strip('[]'), int(port)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def listen():
    s = socket.create_server(('127.0.0.1', 0))
    return s, f'tcp://127.0.0.1:{s.getsockname()[1]}'


def receive(s, n):
    """n bytes, or fewer when the stream ends."""
    parts, left = [], n
    while left:
        part = s.recv(min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b''.join(parts)


def receive_all(s):
    return receive(s, 1 << 40)


def receive_line(s):
    line = b''
    while not line.endswith(b'\n'):
        part = s.recv(1)
        check(part, 'end of stream in a line', line)
        line += part
    return line[:-1].decode()


def closed(s):
    """The peer closed or reset; what came before is dropped."""
    try:
        receive_all(s)
    except ConnectionResetError:
        pass
    s.close()


def refused_or_closed(uri):
    """Whoever listens there resets each client as soon as it has accepted it: that can be before the client's connect() returns."""
    try:
        closed(dial(uri))
    except ConnectionResetError:
        pass


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def frame(body):
    return struct.pack('>I', len(body)) + body


def receive_frame(s):
    n = struct.unpack('>I', receive(s, 4))[0]
    return receive(s, n)


def make_file(size, name=None):
    path = os.path.join(TEMP, name or f'file{size}')
    if not os.path.exists(path):
        block = os.urandom(min(size, 1 << 20))
        with open(path, 'wb') as f:
            for at in range(0, size, 1 << 20):
                f.write(struct.pack('>Q', at)[:max(0, size - at)] + block[8:size - at])
    return path
