#!/usr/bin/env python3
"""Runs the samples by their documented commands, among good and bad peers: samples.py BUILD_DIR [PART OF A TEST'S NAME]...

FILE_MIB is the size of the large file (64), BENCHMARK_REQUESTS what redis-benchmark sends (100000).
Prints one line per test that failed, and the sum in check's format.
"""
import fcntl
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback

from harness import (BUILD, RSS_LIMIT_KIB, TEMP, Sample, check, closed, dial, frame, free_port, listen, make_file, managed, program, receive,
                     receive_all, receive_frame, receive_line, refused_or_closed, reset, run, run_measured, running, same, sanitized)

SLOW = sanitized()
FILE_MIB = int(os.environ.get('FILE_MIB', '8' if SLOW else '64'))
REQUESTS = os.environ.get('BENCHMARK_REQUESTS', '10000' if SLOW else '100000')
TCP = 'tcp://127.0.0.1:0'
HANG_S = 300  # also on a slow and busy machine only what hangs takes so long
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# echo_server

def echo_server_echoes_bytes_and_frames_on_every_address():
    for framing, sent in (('none', b'hello'), ('u32be', frame(b'hello') + frame(b''))):
        path = f'unix://{TEMP}/echo-{framing}'
        server = Sample('echo_server', '--listen', TCP, '--listen', path, '--framing', framing, '--loops', '2', listens=2)
        same(server.listening[1], path)
        for uri in server.listening:
            with dial(uri) as s:
                s.sendall(sent)
                same(receive(s, len(sent)), sent)
        server.stop()


def echo_server_ends_with_0_on_a_signal_also_while_connected():
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Sample('echo_server', '--listen', TCP)
        with dial(server.listening[0]) as s:
            s.sendall(b'x')
            same(receive(s, 1), b'x')
            server.kick(number)
            same(receive_all(s), b'')
        same(server.wait(), 0)


def wait_until_refused(uri):
    while True:
        try:
            dial(uri).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was in the backlog when the listening socket closed
            pass


def fill(s, block=bytes(65536), patience=0.3):
    """Sends until nothing is taken for so many seconds; answers how many bytes were."""
    sent = 0
    s.settimeout(patience)
    try:
        while sent < 256 << 20:
            sent += s.send(block)
    except TimeoutError:
        pass
    s.settimeout(None)
    return sent


def echo_server_ends_at_once_on_a_second_signal():
    server = Sample('echo_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        fill(s, patience=2)  # so that draining takes its time
        server.kick()
        wait_until_refused(server.listening[0])
        server.kick()
        same(server.wait(), -signal.SIGTERM)  # who has drained ends with 0


def echo_server_closes_what_is_idle():
    server = Sample('echo_server', '--listen', TCP, '--idle', '1')
    with dial(server.listening[0]) as s:
        same(receive_all(s), b'')
    server.stop()


# What misbehaving peers do to a server with framing u32be. Each returns when it has done its worst.

def drips(uri):
    body = os.urandom(300)
    with dial(uri) as s:
        for byte in frame(body):
            s.send(bytes([byte]))
        same(receive_frame(s), body)


def never_reads(uri):
    with dial(uri) as s:
        block, sent = frame(bytes(60000)) * 8, 0
        s.settimeout(0.3)
        try:
            while sent < 256 << 20:
                sent += s.send(block)
        except TimeoutError:
            pass
        check(sent < 64 << 20, 'the server took', sent, 'bytes from a peer that does not read')
        reset(s)


def announces_4_gib(uri):
    with dial(uri) as s:
        s.sendall(b'\xff\xff\xff\xff' + bytes(1000))
        closed(s)


def resets_everywhere(uri):
    whole = frame(b'12345678')
    for n in range(len(whole) + 1):
        with dial(uri) as s:
            s.sendall(whole[:n])
            reset(s)
    for n in range(len(whole) + 1):
        with dial(uri) as s:
            s.sendall(whole)
            receive(s, n)
            reset(s)
    for n in range(len(whole) + 1):
        with dial(uri) as s:
            s.sendall(whole + whole[:n])
            s.shutdown(socket.SHUT_WR)
            reset(s)


def sends_garbage(uri):
    source = random.Random(1)
    for _ in range(30):
        with dial(uri) as s:
            s.settimeout(60)
            try:
                s.sendall(source.randbytes(source.randrange(1, 2000)))
                s.shutdown(socket.SHUT_WR)
                closed(s)
            except (ConnectionResetError, BrokenPipeError):
                pass


def echo_server_survives_bad_peers_and_a_good_one_never_notices():
    server = Sample('echo_server', '--listen', TCP, '--framing', 'u32be')
    uri, failed = server.listening[0], []

    def torment(peer):
        try:
            peer(uri)
        except Exception:  # pylint: disable=broad-except
            failed.append(traceback.format_exc())

    with dial(uri) as steady:
        steady.sendall(frame(b'before'))
        same(receive_frame(steady), b'before')
        threads = [threading.Thread(target=torment, args=(p,)) for p in
                   (drips, never_reads, announces_4_gib, resets_everywhere, sends_garbage)]
        for t in threads:
            t.start()
        run('send_file', '--connect', uri, '--framing', 'u32be', '--connections', '2', make_file(4 << 20))
        for t in threads:
            t.join()
        check(not failed, *failed)
        steady.sendall(frame(b'after'))
        same(receive_frame(steady), b'after')
    peak = server.peak_kib()
    check(SLOW or peak < RSS_LIMIT_KIB, 'peak', peak, 'KiB')
    server.stop()


def an_oversize_frame_is_named_and_costs_only_its_connection():
    server = Sample('echo_server', '--listen', TCP, '--framing', 'u32be', '--max-frame', '1000')
    with dial(server.listening[0]) as good, dial(server.listening[0]) as bad:
        good.sendall(frame(bytes(1000)))
        same(receive_frame(good), bytes(1000))
        bad.sendall(frame(bytes(1001)))
        closed(bad)
        good.sendall(frame(b'still here'))
        same(receive_frame(good), b'still here')
    server.stop()
    errors = server.errors()
    check('1001 > 1000' in errors and 'EMSGSIZE' in errors and errors.count('\n') == 1, errors)


def a_cut_frame_is_named_and_costs_only_its_connection():
    server = Sample('echo_server', '--listen', TCP, '--framing', 'u32be')
    with dial(server.listening[0]) as bad:
        bad.sendall(frame(bytes(1000))[:500])
        bad.shutdown(socket.SHUT_WR)
        closed(bad)
    with dial(server.listening[0]) as good:
        good.sendall(frame(b'fine'))
        same(receive_frame(good), b'fine')
    server.stop()
    errors = server.errors()
    check('EPROTO' in errors and errors.count('\n') == 1, errors)


def echo_server_says_that_it_is_out_of_descriptors_and_goes_on():
    server = Sample('echo_server', '--listen', TCP)
    with dial(server.listening[0]) as good:
        good.sendall(b'a')
        same(receive(good, 1), b'a')
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f'/proc/{pid}/fd')), limits[1]))
        with dial(server.listening[0]) as waits:
            while not server.errors():
                good.sendall(b'b')
                same(receive(good, 1), b'b')
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            waits.sendall(b'c')
            same(receive(waits, 1), b'c')
    server.stop()
    errors = server.errors()
    check(server.listening[0] in errors and 'EMFILE' in errors and errors.count('\n') == 1, errors)


# Command lines

def wrong_command_lines_are_named_with_status_2():
    file = make_file(1)
    for name, args, words in (
            ('echo_server', ['--loops', '0'], ['--loops 0', 'from 1 to 64']),
            ('echo_server', ['--loops', '65'], ['--loops 65']),
            ('echo_server', ['--loops', 'two'], ['--loops two']),
            ('echo_server', ['--max-frame', '99999999999999999999'], ['--max-frame 99999999999999999999']),
            ('echo_server', ['--framing', 'u16'], ['--framing u16', 'none|u32be']),
            ('echo_server', ['--listen'], ['--listen', 'needs a value']),
            ('echo_server', ['--nonsense'], ['--nonsense', 'no such option']),
            ('echo_server', ['--listen', 'x'] * 17, ['at most 16']),
            ('send_file', ['--connect', 'tcp://127.0.0.1:1'], ['FILE', 'is missing']),
            ('send_file', [file], ['--connect', 'is missing']),
            ('send_file', ['--connect', 'tcp://127.0.0.1:1', '--chunk', '0', file], ['--chunk 0']),
            ('send_file', ['--connect', 'tcp://127.0.0.1:1', file, file], ['one operand']),
            ('proxy', ['--connect', 'tcp://127.0.0.1:1'], ['--listen', 'is missing']),
            ('proxy', ['--listen', TCP], ['--connect', 'is missing']),
            ('resp_server', ['extra'], ['extra', 'only options']),
            ('chat', ['--port', '1'], ['--port']),
            ('heartbeat', ['--interval', '-1'], ['--interval -1']),
            ('service', ['--name', 'x'], ['--name']),
            ('attach', ['-v'], ['-v'])):
        out, errors = run(name, *args, status=2)
        same(out, '')
        check(errors.count('\n') == 1 and ' (EINVAL); usage: ' + name in errors and errors.startswith(name + ': '), errors)
        for word in words:
            check(word in errors, word, 'in', errors)


def what_the_library_refuses_is_named_with_status_1():
    server = Sample('echo_server', '--listen', TCP)
    taken, path = server.listening[0], f'unix://{TEMP}/{"x" * 200}'
    for uri, word in ((taken, 'EADDRINUSE'), ('carrier://pigeon', ''), ('tcp://127.0.0.1:99999', ''), ('tcp://127.0.0.1', ''),
                      (path, 'ENAMETOOLONG'), (f'unix://{TEMP}/no/such/folder', ''), ('', '')):
        for name in ('echo_server', 'resp_server', 'chat', 'heartbeat', 'service'):
            out, errors = run(name, '--listen', uri, status=1)
            same(out, '')
            check(errors.count('\n') == 1 and uri in errors and word in errors, name, uri, errors)
    file = make_file(1000)
    for uri, word in ((f'tcp://127.0.0.1:{free_port()}', 'ECONNREFUSED'), ('carrier://pigeon', ''), (path, 'ENAMETOOLONG'),
                      (f'unix://{TEMP}/nobody', 'ENOENT'), ('tcp://127.0.0.1:0x', '')):
        out, errors = run('send_file', '--connect', uri, file, status=1)
        check(errors.count('\n') == 1 and uri in errors and word in errors, uri, errors)
        same(out, '')
    pipe = os.path.join(TEMP, 'named-pipe')
    os.mkfifo(pipe)
    for file, word in ((os.path.join(TEMP, 'missing'), 'ENOENT'), (TEMP, 'EINVAL'), (pipe, 'EINVAL')):
        out, errors = run('send_file', '--connect', taken, file, status=1)
        check(errors.count('\n') == 1 and file in errors and word in errors, errors)
        same(out, '')
    for uri, word in (('carrier://pigeon', 'EINVAL'), ('tcp://127.0.0.1:99999', 'EINVAL'), (path, 'ENAMETOOLONG')):
        out, errors = run('proxy', '--listen', TCP, '--connect', uri, status=1)
        check(errors.count('\n') == 1 and uri in errors and word in errors, errors)
        same(out, '')
    server.stop()


# send_file

def send_file_gets_every_byte_back_whatever_the_chunks():
    for framing in ('none', 'u32be'):
        server = Sample('echo_server', '--listen', TCP, '--listen', f'unix://{TEMP}/sock-{framing}', '--framing', framing, listens=2)
        for uri in server.listening:
            for size, more in ((0, []), (1, []), (100000, ['--chunk', '7']), (100000, ['--chunk', '65535']), (1 << 20, []),
                               (3 << 20, ['--chunk', str(1 << 20)]), (1 << 20, ['--connections', '10'])):
                out, errors = run('send_file', '--connect', uri, '--framing', framing, *more, make_file(size))
                told = dict(re.findall(r'^(\S+(?: ms)?) +([\d.]+)$', out, re.MULTILINE))
                times = 10 if '--connections' in more else 1
                chunk = int(more[1]) if '--chunk' in more else 65536
                same(told['bytes'], str(size * times))
                same(told['frames'], str(-(-size // chunk) * times))
                same(errors, '')
                check({'seconds', 'MB/s', 'p50 ms', 'p99 ms'} <= told.keys(), out)
        server.stop()


def send_file_notices_what_comes_back_wrong():
    path, size = make_file(100000), 100000
    with open(path, 'rb') as f:
        content = f.read()

    def serve(server, answer):
        s, _ = server.accept()
        with s:
            receive(s, size)
            try:
                s.sendall(answer)
                s.shutdown(socket.SHUT_WR)
                receive_all(s)
            except OSError:  # the sender has seen enough
                pass

    flipped = content[:70000] + bytes([content[70000] ^ 1]) + content[70001:]
    for answer, word in ((flipped, 'byte 70000'), (content[:99999], '99999 of 100000'), (content[:10] + content, 'byte 1')):
        server, uri = listen()
        with server:
            thread = threading.Thread(target=serve, args=(server, answer))
            thread.start()
            out, errors = run('send_file', '--connect', uri, path, status=1)
            thread.join()
        check(word in errors and errors.count('\n') == 1, errors)
        check('99999' not in word or not re.search(r'^MB/s +0\.0$', out, re.MULTILINE), out)


def send_file_names_a_reset_in_words():
    server, uri = listen()

    def serve():
        s, _ = server.accept()
        receive(s, 1)
        reset(s)

    with server:
        thread = threading.Thread(target=serve)
        thread.start()
        _, errors = run('send_file', '--connect', uri, make_file(100000), status=1)
        thread.join()
    check(errors.count('\n') == 1 and uri in errors and 'connection reset by peer: ECONNRESET' in errors, errors)


def a_large_file_goes_through_the_proxy_in_bounded_memory():
    echo = Sample('echo_server', '--listen', TCP, '--framing', 'u32be')
    proxy = Sample('proxy', '--listen', TCP, '--connect', echo.listening[0])
    path = make_file(FILE_MIB << 20)
    out, sender_kib = run_measured('send_file', '--connect', proxy.listening[0], '--framing', 'u32be', path)
    os.unlink(path)
    peaks = (echo.peak_kib(), proxy.peak_kib(), sender_kib)
    speed = re.search(r'MB/s +([\d.]+)', out).group(1)
    print(f'{FILE_MIB} MiB through the proxy: {speed} MB/s; peak KiB of server, proxy, sender: {peaks}')
    check(SLOW or max(peaks) < RSS_LIMIT_KIB, peaks)
    proxy.stop()
    echo.stop()


# proxy

def proxy_to_python():
    """A proxy whose upstream is ours: the proxy, and a connected client and server."""
    server, uri = listen()
    proxy = Sample('proxy', '--listen', TCP, '--connect', uri)
    client = dial(proxy.listening[0])
    upstream, _ = server.accept()
    server.close()
    return proxy, client, upstream


def proxy_passes_half_close_on_both_ways():
    for client_first in (True, False):
        proxy, a, b = proxy_to_python()
        if not client_first:
            a, b = b, a
        with a, b:
            a.sendall(b'question')
            a.shutdown(socket.SHUT_WR)
            same(receive_all(b), b'question')
            b.sendall(b'answer, after the end of the question')
            b.shutdown(socket.SHUT_WR)
            same(receive_all(a), b'answer, after the end of the question')
        proxy.stop()
        same(proxy.errors(), '')


def proxy_passes_a_reset_on():
    for client_first in (True, False):
        proxy, a, b = proxy_to_python()
        if not client_first:
            a, b = b, a
        with b:
            a.sendall(b'x')
            same(receive(b, 1), b'x')
            reset(a)
            try:
                same(receive_all(b), b'RST')
            except ConnectionResetError:
                pass
        proxy.stop()
        check('ECONNRESET' in proxy.errors(), proxy.errors())


def proxy_names_a_dial_that_fails_and_goes_on():
    for uri, word in ((f'tcp://127.0.0.1:{free_port()}', 'ECONNREFUSED'), (f'unix://{TEMP}/nobody', 'ENOENT')):
        proxy = Sample('proxy', '--listen', TCP, '--connect', uri)
        for _ in range(3):
            refused_or_closed(proxy.listening[0])
        proxy.stop()
        errors = proxy.errors()
        check(errors.count(uri) == 3 and errors.count(word) == 3 and errors.count('\n') == 3, errors)


def a_slow_reader_behind_the_proxy_stops_the_sender():
    for client_sends in (True, False):
        proxy, a, b = proxy_to_python()
        if not client_sends:
            a, b = b, a
        with a, b:
            sent = fill(a)
            check(sent < 64 << 20, 'the proxy took', sent, 'bytes that nobody reads')
            peak = proxy.peak_kib()
            check(SLOW or peak < RSS_LIMIT_KIB, 'peak', peak, 'KiB')
            a.shutdown(socket.SHUT_WR)
            same(len(receive_all(b)), sent)
        proxy.stop()


def proxy_ends_both_sides_when_it_is_stopped():
    proxy, a, b = proxy_to_python()
    with a, b:
        a.sendall(b'x')
        same(receive(b, 1), b'x')
        proxy.kick()
        closed(a)
        closed(b)
    same(proxy.wait(), 0)


# chat, heartbeat, attach

def chat_tells_everybody_but_the_speaker():
    server = Sample('chat', '--listen', TCP)
    uri = server.listening[0]
    with dial(uri) as a:
        with dial(uri) as b, dial(uri) as c:
            names = {s: 'tcp://127.0.0.1:%d: ' % s.getsockname()[1] for s in (a, b, c)}
            b.sendall(b'b is here\n')  # b is in for certain once a has heard it
            same(receive_line(a), names[b] + 'b is here')
            c.sendall(b'c is here\r\n')
            same(receive_line(a), names[c] + 'c is here')
            same(receive_line(b), names[c] + 'c is here')
            a.sendall(b'welcome\n')
            same(receive_line(b), names[a] + 'welcome')
            line = receive_line(c)
            same(receive_line(c) if line.endswith('b is here') else line, names[a] + 'welcome')
            b.close()
            a.sendall(b'one is gone\n')
            same(receive_line(c), names[a] + 'one is gone')
            c.sendall(bytes(5000))
            closed(c)
    server.stop()
    check('EMSGSIZE' in server.errors() and server.errors().count('\n') == 1, server.errors())


def heartbeat_pings_and_gives_up_on_who_does_not_answer():
    server = Sample('heartbeat', '--listen', TCP, '--interval', '400')
    with dial(server.listening[0]) as s:
        number = heard = 0
        while not heard:  # an answer behind the next ping is none, and may happen to us twice in a row
            number += 1
            same(receive_line(s), f'ping {number}')
            s.sendall(b'pong %d\n' % number)
            select.select([s, server.process.stdout], [], [])
            heard = server.process.stdout in select.select([server.process.stdout], [], [], 0)[0]
        told = server.line()
        answered = re.fullmatch(r'tcp://127\.0\.0\.1:\d+: pong (\d+) after \d+ ms', told)
        check(answered and int(answered.group(1)) <= number, told)
        line = receive_line(s)
        while line != 'bye':
            number += 1
            same(line, f'ping {number}')
            line = receive_line(s)
        same(number, int(answered.group(1)) + 3)  # counted from the last answer
        same(receive_all(s), b'')
    server.stop()


def attach_gives_the_loop_back():
    for more in ([], ['--listen', f'unix://{TEMP}/attach']):
        out, errors = run('attach', *more)
        same(errors, '')
        lines = [line for line in out.splitlines() if not line.startswith('tick')]
        check(lines[0].startswith('listening on '), out)
        same(lines[1:], ['the client heard "hello"', 'detached', 'the loop closes: 0'])
        check(out.splitlines()[:2] == ['tick 1', 'tick 2'] and out.splitlines()[-2].startswith('tick '), out)
    taken, uri = listen()
    with taken:
        out, errors = run('attach', '--listen', uri, status=1)
        check('EADDRINUSE' in errors and 'the loop closes: 0' in out, out, errors)


# resp_server

CONVERSATION = (
    (b'PING\r\n', b'+PONG\r\n'),
    (b'ping hello\n', b'$5\r\nhello\r\n'),
    (b'\r\n*0\r\n*-1\r\nPING\r\n', b'+PONG\r\n'),
    (b'*2\r\n$4\r\nECHO\r\n$7\r\na\r\nb\0cd\r\n', b'$7\r\na\r\nb\0cd\r\n'),
    (b'SET a 1\r\nGET a\r\n', b'+OK\r\n$1\r\n1\r\n'),
    (b'GET nothing\r\n', b'$-1\r\n'),
    (b'*3\r\n$3\r\nset\r\n$1\r\ne\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\ne\r\n', b'+OK\r\n$0\r\n\r\n'),
    (b'SET a 2 NX\r\nGET a\r\n', b'$-1\r\n$1\r\n1\r\n'),
    (b'SET b 2 XX\r\nGET b\r\n', b'$-1\r\n$-1\r\n'),
    (b'SET b 2 NX\r\nSET b 3 XX\r\nGET b\r\n', b'+OK\r\n+OK\r\n$1\r\n3\r\n'),
    (b'SET b 2 NX XX\r\n', b'-ERR syntax error\r\n'),
    (b'SET b 2 EX\r\n', b'-ERR syntax error\r\n'),
    (b'SET b 2 EX 0\r\n', b"-ERR invalid expire time in 'set' command\r\n"),
    (b'SET b 2 EX 9223372036854775807\r\n', b"-ERR invalid expire time in 'set' command\r\n"),
    (b'SET b 2 EX x\r\n', b'-ERR value is not an integer or out of range\r\n'),
    (b'INCR n\r\nINCR n\r\nGET n\r\n', b':1\r\n:2\r\n$1\r\n2\r\n'),
    (b'SET n 9223372036854775807\r\nINCR n\r\n', b'+OK\r\n-ERR increment or decrement would overflow\r\n'),
    (b'SET n 9223372036854775808\r\nINCR n\r\n', b'+OK\r\n-ERR value is not an integer or out of range\r\n'),
    (b'SET n -1\r\nINCR n\r\n', b'+OK\r\n:0\r\n'),
    (b'SET n x\r\nINCR n\r\n', b'+OK\r\n-ERR value is not an integer or out of range\r\n'),
    (b'EXISTS a b a nothing\r\nDEL a b nothing\r\nEXISTS a b\r\n', b':3\r\n:2\r\n:0\r\n'),
    (b'TTL nothing\r\nSET a 1\r\nTTL a\r\nEXPIRE a 100\r\n', b':-2\r\n+OK\r\n:-1\r\n:1\r\n'),
    (b'EXPIRE nothing 100\r\nEXPIRE a x\r\n', b':0\r\n-ERR value is not an integer or out of range\r\n'),
    (b'SET a 1 EX 100\r\nSET a 1\r\nTTL a\r\n', b'+OK\r\n+OK\r\n:-1\r\n'),
    (b'EXPIRE a -1\r\nGET a\r\n', b':1\r\n$-1\r\n'),
    (b'COMMAND DOCS\r\nCONFIG GET save\r\nCONFIG GET x\r\n', b'*0\r\n*2\r\n$4\r\nsave\r\n$0\r\n\r\n*0\r\n'),
    (b'GET\r\n', b"-ERR wrong number of arguments for 'get' command\r\n"),
    (b'GET a b\r\n', b"-ERR wrong number of arguments for 'get' command\r\n"),
    (b'FLY to\r\n', b"-ERR unknown command 'FLY'\r\n"),
    (b'*1\r\n$4\r\na\r\nb\r\n', b"-ERR unknown command 'a??b'\r\n"),
)


def resp_server_answers_as_redis_does():
    server = Sample('resp_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        for asked, wanted in CONVERSATION:
            s.sendall(asked)
            seen = receive(s, len(wanted))
            check(seen == wanted, 'asked', asked, 'seen', seen, 'wanted', wanted)
    server.stop()
    same(server.errors(), '')


def resp_server_answers_a_pipeline_however_it_is_cut():
    asked = b''.join(a for a, _ in CONVERSATION) + b'QUIT\r\nPING\r\n'
    wanted = b''.join(w for _, w in CONVERSATION) + b'+OK\r\n'
    for step in (len(asked), 1, 7):
        server = Sample('resp_server', '--listen', TCP)
        with dial(server.listening[0]) as s:
            for at in range(0, len(asked), step):
                s.sendall(asked[at:at + step])
            same(receive_all(s), wanted)
        server.stop()


def resp_server_lets_values_expire():
    server = Sample('resp_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        s.sendall(b'SET a 1 PX 40\r\n')
        same(receive_line(s), '+OK\r')
        seen = '$1\r'
        while seen == '$1\r':
            s.sendall(b'GET a\r\n')
            seen = receive_line(s)
            if seen == '$1\r':
                same(receive_line(s), '1\r')
        same(seen, '$-1\r')
        s.sendall(b'EXISTS a\r\nTTL a\r\n')
        same(receive(s, 9), b':0\r\n:-2\r\n'[:9])
    server.stop()


def resp_server_tells_the_seconds_that_are_left():
    server = Sample('resp_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        for asked, wanted in ((b'SET a 1 EX 1000\r\n', '+OK\r'), (b'EXPIRE a 2000\r\n', ':1\r')):
            before = time.monotonic()
            s.sendall(asked + b'TTL a\r\n')
            same(receive_line(s), wanted)
            left, most = int(receive_line(s)[1:-1]), 2000 if b'2000' in asked else 1000
            check(most - (time.monotonic() - before) - 1 <= left <= most, asked, left)
    server.stop()


def resp_server_keeps_large_values():
    value = os.urandom(5 << 20)
    server = Sample('resp_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        s.sendall(b'*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n' % len(value) + value + b'\r\nGET big\r\n')
        same(receive(s, 5), b'+OK\r\n')
        same(receive_line(s), '$%d\r' % len(value))
        check(receive(s, len(value) + 2) == value + b'\r\n')
    server.stop()


def resp_server_refuses_what_is_no_command():
    server = Sample('resp_server', '--listen', TCP)
    cases = ((b'*1\r\n$17000000\r\n', b'invalid bulk length'), (b'*1025\r\n', b'invalid multibulk length'),
             (b'*x\r\n', b'invalid multibulk length'), (b'*1\r\n$-1\r\n', b'invalid bulk length'),
             (b'*1\r\n:4\r\n', b'invalid bulk length'), (b'*1\r\n$4294967296\r\n', b'invalid bulk length'),
             (b'*99999999999999999999999999999999999999', b'invalid multibulk length'),
             (b'x' * 70000, b'too big inline request'), (b'*1\r\n$4\r\nPINGxx', b'expected CRLF'))
    with dial(server.listening[0]) as good:
        for bad, words in cases:
            with dial(server.listening[0]) as s:
                s.sendall(b'PING\r\n' + bad)
                told = receive_all(s)
                check(told.startswith(b'+PONG\r\n-ERR Protocol error: ' + words) and told.endswith(b'\r\n'), bad[:80], told)
        with dial(server.listening[0]) as s:
            s.sendall(b'*2\r\n$4\r\nECHO\r\n$5\r\nhe')
            s.shutdown(socket.SHUT_WR)
            closed(s)
        good.sendall(b'PING\r\n')
        same(receive(good, 7), b'+PONG\r\n')
    server.stop()
    same(server.errors().count('\n'), len(cases) + 1)


def resp_server_holds_who_pipelines_and_does_not_read():
    server = Sample('resp_server', '--listen', TCP)
    with dial(server.listening[0]) as s:
        s.sendall(b'SET v ' + b'v' * 10000 + b'\r\n')
        same(receive(s, 5), b'+OK\r\n')
        asked = fill(s, b'GET v\r\n' * 1000)
        peak = server.peak_kib()
        check(SLOW or peak < RSS_LIMIT_KIB, 'peak', peak, 'KiB')
        reply = b'$10000\r\n' + b'v' * 10000 + b'\r\n'
        for _ in range(min(asked // 7, 2000)):
            check(receive(s, len(reply)) == reply)
        reset(s)
    server.stop()


def redis_cli_works():
    if not shutil.which('redis-cli'):
        print('redis-cli is not installed: not tested')
        return
    server = Sample('resp_server', '--listen', TCP)
    port = server.listening[0].rsplit(':', 1)[1]
    for asked, wanted in (('ping', 'PONG'), ('set greeting hello', 'OK'), ('get greeting', 'hello'), ('get nobody', ''),
                          ('echo words', 'words'), ('incr n', '1'), ('exists n greeting', '2'), ('expire n 100', '1'),
                          ('exists n', '1'), ('del n greeting', '2'), ('set k v ex 1000 nx', 'OK'), ('set k v nx', ''), ('quit', 'OK'),
                          ('fly', "ERR unknown command 'fly'")):
        told = subprocess.run(['redis-cli', '-h', '127.0.0.1', '-p', port, *asked.split()], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, text=True)
        check(told.stdout.strip() == wanted, asked, told.stdout, told.stderr)
    server.stop()


def redis_benchmark_works():
    if not shutil.which('redis-benchmark'):
        print('redis-benchmark is not installed: not tested')
        return
    server = Sample('resp_server', '--listen', TCP)
    port = server.listening[0].rsplit(':', 1)[1]
    told = subprocess.run(['redis-benchmark', '-h', '127.0.0.1', '-p', port, '-t', 'ping,set,get', '-P', '16', '-c', '50', '-n',
                           REQUESTS, '--csv'], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    same(told.returncode, 0)
    rates = dict(re.findall(r'"(\w+)","([\d.]+)"', told.stdout))
    check({'PING_INLINE', 'PING_MBULK', 'SET', 'GET'} <= rates.keys() and 'rror' not in told.stdout + told.stderr, told.stdout,
          told.stderr)
    peak = server.peak_kib()
    print('redis-benchmark, requests a second:', rates, 'peak', peak, 'KiB')
    server.stop()
    same(server.errors(), '')


# service

def passed_sockets():
    """A TCP socket and a Unix one, as a manager opens them, and their addresses."""
    path = os.path.join(TEMP, 'passed')
    if os.path.exists(path):
        os.unlink(path)
    tcp, unix = socket.create_server(('127.0.0.1', 0)), socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    return [tcp, unix], [f'tcp://127.0.0.1:{tcp.getsockname()[1]}', f'unix://{path}']


# L12
def service_listens_on_what_it_was_passed_and_leaves_it_to_its_manager():
    sockets, uris = passed_sockets()
    for args, served in (([], uris), (['--listen', 'systemd://'], uris), (['--listen', 'systemd://local'], uris[1:])):
        popen = managed([program('service'), *args], sockets, LISTEN_FDNAMES='web:local')
        server = Sample('service', listens=len(served), popen=popen)
        same(server.listening, served)
        for uri in served:
            with dial(uri) as s:
                s.sendall(b'hello')
                same(receive(s, 5), b'hello')
        server.stop()
        same(server.errors(), '')
        check(os.path.exists(os.path.join(TEMP, 'passed')))
        for uri in uris:  # the manager still listens: clients wait for the next start
            dial(uri).close()
    for s in sockets:
        s.close()


# L12
def service_says_what_is_wrong_with_what_it_was_passed():
    sockets, _ = passed_sockets()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected, other = socket.socketpair()
    for passed, args, words in (([datagrams], [], ['descriptor 3', 'datagram', 'EINVAL']),
                                (sockets + [connected], [], ['descriptor 5', 'does not listen', 'EINVAL']),
                                (sockets, ['--listen', 'systemd://nobody'], ['systemd://nobody', 'web:local', 'ENOENT'])):
        popen = managed([program('service'), *args], passed, LISTEN_FDNAMES='web:local')
        told = subprocess.run(**popen, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
        check(told.returncode == 1 and told.stdout == '' and told.stderr.count('\n') == 1, told)
        for word in words:
            check(word in told.stderr, word, told.stderr)
    for value in ('abc', '-1', '2147483645', '1000'):
        told = subprocess.run(['sh', '-c', 'LISTEN_PID=$$ exec "$0"', program('service')], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, text=True, env={**os.environ, 'LISTEN_FDS': value})
        check(told.returncode == 1 and told.stderr.count('\n') == 1 and f'LISTEN_FDS={value} ' in told.stderr, told)
    for s in (*sockets, datagrams, connected, other):
        s.close()


def service_tells_its_manager_when_it_is_ready_and_when_it_stops():
    path = os.path.join(TEMP, 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        popen = {'args': [program('service'), '--listen', TCP], 'env': {**os.environ, 'NOTIFY_SOCKET': path}}
        server = Sample('service', popen=popen)
        same(manager.recv(100), b'READY=1')
        dial(server.listening[0]).close()
        server.stop()
        same(manager.recv(100), b'STOPPING=1')
    same(server.errors(), '')


def wait_until_read(s):
    """Until the other end of this Unix socket has read all that was sent."""
    while struct.unpack('i', fcntl.ioctl(s, termios.TIOCOUTQ, b'1234'))[0]:
        time.sleep(0.001)


# L10, L11, L13: the service has read more than the system holds on the way back; not a byte of it is lost.
def service_finishes_what_is_under_way_when_it_is_stopped():
    block, sent = os.urandom(8192), 0
    server = Sample('service', '--listen', f'unix://{TEMP}/under-way')
    with dial(server.listening[0]) as s:
        while sent < 30 * len(block):
            s.sendall(block)
            sent += len(block)
            wait_until_read(s)
        server.kick()
        while True:  # it has heard the signal
            try:
                dial(server.listening[0]).close()
            except (FileNotFoundError, ConnectionRefusedError):
                break
        check(receive_all(s) == block * 30)
    same(server.wait(), 0)
    same(server.errors(), '')


# The command of its opening comment.
def service_is_started_by_its_first_client():
    if not shutil.which('systemd-socket-activate'):
        print('systemd-socket-activate is not installed: not tested')
        return
    port = free_port()
    server = Sample('service', listens=0, popen={'args': ['systemd-socket-activate', '-l', f'127.0.0.1:{port}', program('service')]})
    while 'Listening on' not in server.errors():
        time.sleep(0.005)
    with dial(f'tcp://127.0.0.1:{port}') as s:
        s.sendall(b'hello')
        same(receive(s, 5), b'hello')
        same(server.line(), f'listening on tcp://127.0.0.1:{port}')
        server.kick()
        same(receive_all(s), b'')
    same(server.wait(), 0)


def service_units_are_what_systemd_reads():
    here = os.path.join(ROOT, 'samples')
    with open(os.path.join(here, 'service.service'), encoding='ascii') as f:
        unit = f.read()
    started = re.search('^ExecStart=/usr/local/bin/(.*)$', unit, re.MULTILINE).group(1).split()
    with open(os.path.join(here, 'service.socket'), encoding='ascii') as f:
        name = re.search('^FileDescriptorName=(.*)$', f.read(), re.MULTILINE).group(1)
    sockets, uris = passed_sockets()
    popen = managed([program(started[0]), *started[1:]], sockets, LISTEN_FDNAMES=f'{name}:{name}')
    server = Sample('service', listens=2, popen=popen)
    same(server.listening, uris)
    server.stop()
    for s in sockets:
        s.close()
    if not shutil.which('systemd-analyze'):
        print('systemd-analyze is not installed: the units are not verified')
        return
    copy = os.path.join(TEMP, 'units')
    os.mkdir(copy)
    for kind in ('service', 'socket'):
        with open(os.path.join(here, 'service.' + kind), encoding='ascii') as f, \
             open(os.path.join(copy, 'service.' + kind), 'w', encoding='ascii') as out:
            out.write(f.read().replace('/usr/local/bin/service', program('service')))
    told = subprocess.run(['systemd-analyze', 'verify', os.path.join(copy, 'service.socket'), os.path.join(copy, 'service.service')],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    check('service.s' not in told.stderr, told)


def demo_sends_a_file_there_and_back_and_leaves_nothing():
    if SLOW:
        return
    temp = os.path.join(TEMP, 'demo')
    os.mkdir(temp)

    def demo(*args):
        return subprocess.run(['sh', os.path.join(ROOT, 'samples', 'demo.sh'), *args], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, text=True, env={**os.environ, 'BUILD_DIR': BUILD, 'TMPDIR': temp})

    for more in ([], [make_file(1 << 20)]):
        told = demo(*more)
        check(told.returncode == 0, told.stdout, told.stderr)
        check('Every byte came back' in told.stdout and re.search(r'^ +MB/s +[\d.]+ +[\d.]+$', told.stdout, re.MULTILINE), told.stdout)
        same(os.listdir(temp), [])
    for args, status, words in (([os.path.join(TEMP, 'missing')], 1, ['missing', 'ENOENT']), ([TEMP], 1, [TEMP, 'EINVAL']),
                                (['-x'], 2, ['-x', 'usage']), ([__file__, 'more'], 2, ['more', 'usage'])):
        told = demo(*args)
        check(told.returncode == status and told.stdout == '' and told.stderr.count('\n') == 1, told)
        for word in words:
            check(word in told.stderr, word, told.stderr)
        same(os.listdir(temp), [])


TESTS = [f for name, f in list(globals().items()) if callable(f) and getattr(f, '__module__', '') == '__main__' and
         re.match(r'(echo_server|an_|a_|wrong|what|send_file|proxy_(?!to_python)|chat|heartbeat_|attach|resp|redis|service|demo)', name)]


def expired(*_):
    raise TimeoutError('it hangs')


def main():
    wanted, failed = sys.argv[2:], 0
    tests = [t for t in TESTS if not wanted or any(w in t.__name__ for w in wanted)]
    signal.signal(signal.SIGALRM, expired)
    for test in tests:
        started = time.monotonic()
        signal.alarm(HANG_S)
        try:
            test()
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f'FAILED: {test.__name__}\n{traceback.format_exc()}')
            for sample in running:
                print('stderr of', sample.process.args, sample.errors())
        finally:
            signal.alarm(0)
            for sample in list(running):
                sample.kill()
        if '-v' in os.environ.get('SAMPLES_FLAGS', ''):
            print(f'{time.monotonic() - started:6.2f} s {test.__name__}')
        sys.stdout.flush()
    shutil.rmtree(TEMP, ignore_errors=True)
    share = (len(tests) - failed) * 100 // len(tests) if tests else 0
    print(f'{share}%: Checks: {len(tests)}, Failures: {failed}, Errors: 0')
    return 1 if failed or not tests else 0


if __name__ == '__main__':
    sys.exit(main())
