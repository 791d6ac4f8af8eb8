"""Tokens a second of `signalllm train` with one and with two processes, a core
each, on this machine, and the bytes that go over the loopback:

    python3 benchmarks/processes.py --program build/release/signalllm --data src

Rounds alternate between the two, because other work on the machine comes and
goes; `other` is the CPUs that it took, and a round counts only where that is
below `--quiet`. One JSON object a round, then the ratio of the medians.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import tempfile
import time


def busy():
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def loopback():
    with open("/proc/net/dev") as file:
        return next(int(line.split()[9]) for line in file if "lo:" in line)


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def measure(args, count, folder):
    command = [
        args.program, "train", "--data", args.data, "--extensions", args.extensions,
        "--device", "cpu", "--threads", "1", "--steps", str(args.steps),
        "--batch", str(args.batch), "--report-every", "5", "--average", "0",
        "--evaluate-every", "0", "--checkpoint-every", "0", "--out", str(folder)]
    port = free_port()
    before = busy(), children(), loopback(), time.time()
    running = []
    for rank in range(count):
        place = {"WORLD_SIZE": str(count), "RANK": str(rank), "MASTER_PORT": port}
        running.append(subprocess.Popen(
            ["taskset", "-c", str(rank), *command],
            env={**os.environ, **place, "SIGNALLLM_PYTHON": "true"},
            stdout=subprocess.DEVNULL))
    if any(process.wait() != 0 for process in running):
        raise SystemExit("a process failed")
    wall = time.time() - before[3]
    other = (busy() - before[0] - (children() - before[1])) / wall
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    speeds = [line["tokens_per_second"] for line in lines if "tokens_per_second" in line]
    result = {
        "processes": count,
        "tokens_per_second": statistics.median(speeds[1:]),
        "other": round(other, 2),
        "loopback_bytes_per_step": (loopback() - before[2]) // args.steps}
    print(json.dumps(result), flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--extensions", default="*")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quiet", type=float, default=0.2)
    args = parser.parse_args()
    quiet = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        for round_number in range(args.rounds):
            for count in quiet:
                folder = pathlib.Path(place) / f"{round_number}-{count}"
                result = measure(args, count, folder)
                if result["other"] < args.quiet:
                    quiet[count].append(result["tokens_per_second"])
    if not all(quiet.values()):
        raise SystemExit("no quiet round: other work takes the machine's cores")
    one, two = (statistics.median(quiet[count]) for count in (1, 2))
    print(json.dumps({"ratio": round(two / one, 3), "batch": args.batch}))


if __name__ == "__main__":
    main()
