"""A Slurm of one machine on loopback: a controller, a CPU node and a GPU node whose two GPUs are simulated.

Figures and pitfalls that shaped it (Debian's Slurm 22.05): several slurmd on one host need `-N` and a port each; a gpu
gres without device files is refused, so null devices stand in for GPUs; slurm-jobstep hides SLURM_CONF from the
inner srun, so that the configuration must lie in /etc/slurm.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
PACKAGES = "slurmctld slurmd slurm-client munge"
ETC = Path("/etc/slurm")
FILES = (ETC / "slurm.conf", ETC / "gres.conf")
FOLDER = "machine"  # the last part of the folder that these files point into
NODES = {"c1": (16821, ""), "g1": (16822, "Gres=gpu:fake:2")}
N_GPUS = 2

CONFIGURATION = """\
ClusterName=onemachine
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
KillWait=30
MinJobAge=7200
PartitionName=cpu Nodes=c1 Default=YES MaxTime=2-00:00:00 DefMemPerCPU=100 State=UP
PartitionName=gpu Nodes=g1 MaxTime=1-00:00:00 DefMemPerCPU=100 State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 Sockets=1 CoresPerSocket=16 "
    "ThreadsPerCore=1 RealMemory=64000 {gres} State=UNKNOWN\n"
)


def missing():
    """Why this machine cannot run a Slurm of its own; empty if it can."""
    if os.geteuid() != 0:
        return "needs root: slurmctld and slurmd are started, and device files made"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)}): apt-get install --no-install-recommends {PACKAGES}"
    if any(os.path.lexists(path) and not _was_left(path) for path in FILES):
        return f"{FILES[0]} is there: this machine belongs to a Slurm that is not the tests'"
    return ""


def _was_left(path):
    """Whether tests that were killed left `path` behind."""
    runs = any(process.name() == "slurmctld" for process in psutil.process_iter())
    return path.is_symlink() and path.readlink().parent.name == FOLDER and not runs


class Slurm:
    """The daemons and their configuration under one folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._started = []

    def start(self):
        """Start all daemons; return when both nodes are idle."""
        self.folder.mkdir(parents=True)
        (self.folder / "state").mkdir()
        self._configure()
        self._munge()
        self._daemon("slurmctld.pid", "slurmctld", "-c")
        for name in NODES:
            self.start_node(name)
        self.wait(lambda: set(self.nodes().values()) == {"idle"}, "both nodes idle", 30)

    def stop(self):
        """Cancel what runs, stop the daemons in reverse order and take the configuration out of /etc."""
        with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            self.call("scancel", "--user=root", timeout=10)
            self.wait(lambda: not self.call("squeue", "-h"), "no job left", 45)
        for pid in reversed(self._started):
            self._end(pid)
        for path in FILES:
            if path.is_symlink() and path.readlink().parent == self.folder:  # our own, and nobody else's
                path.unlink()

    def start_node(self, name):
        """Start the slurmd of a node."""
        self._daemon(f"slurmd.{name}.pid", "slurmd", "-c", "-N", name)

    def lose_node(self, name):
        """What a power cut does: the node's slurmd and processes are gone at once, and the controller notes it."""
        pid_file = self.folder / f"slurmd.{name}.pid"
        slurmd = psutil.Process(int(pid_file.read_text()))
        pid_file.unlink()
        stewards = [each for each in psutil.process_iter() if self._is_steward(each, name)]
        victims = [slurmd, *(child for each in stewards for child in (each, *each.children(recursive=True)))]
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(victims, timeout=10)
        self.call("scontrol", "update", f"nodename={name}", "state=down", "reason=lost")

    def restore_node(self, name):
        """The node boots again and registers, by which the controller takes it back (ReturnToService=2)."""
        self.start_node(name)
        self.wait(lambda: self.nodes()[name] in ("idle", "mixed"), f"{name} is back", 30)

    def _is_steward(self, process, node):
        """Whether the process is a slurmstepd of the node: the parent of a job's processes."""
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            number = re.match(r"slurmstepd: \[(\d+)", title)
            return bool(number) and self.jobs().get(int(number[1]), {}).get("NodeList") == node
        return False

    def nodes(self):
        """State of each node, such as idle, mixed, down."""
        return dict(line.split() for line in self.call("sinfo", "-h", "-N", "-o", "%N %T").splitlines())

    def jobs(self):
        """All jobs that the controller remembers: id -> what `scontrol show job -d` says."""
        found = {}
        for line in self.call("scontrol", "show", "job", "-d", "-o").splitlines():
            entries = dict(item.split("=", 1) for item in line.split() if "=" in item)
            if "JobId" in entries:
                found[int(entries["JobId"])] = entries
        return found

    def call(self, *command, timeout=30):
        """Output of a Slurm command."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout).stdout

    @staticmethod
    def wait(condition, what, seconds, step=0.1):
        """Poll until `condition()` is true; return what it returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(step)
        raise TimeoutError(f"{what}: not within {seconds} s")

    def _configure(self):
        host = socket.gethostname().split(".")[0]
        text = CONFIGURATION.format(host=host, folder=self.folder)
        nodes = "".join(NODE.format(name=name, host=host, port=port, gres=gres) for name, (port, gres) in NODES.items())
        # nodes before the partitions that name them
        before, after = text.split("PartitionName=", 1)
        (self.folder / "slurm.conf").write_text(f"{before}{nodes}PartitionName={after}")
        for number in range(N_GPUS):
            os.mknod(self.folder / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))
        devices = f"{self.folder}/gpu[0-{N_GPUS - 1}]"
        (self.folder / "gres.conf").write_text(f"NodeName=g1 Name=gpu Type=fake File={devices}\n")
        ETC.mkdir(exist_ok=True)
        for path in FILES:
            path.unlink(missing_ok=True)  # what tests that were killed left behind (`missing`)
            path.symlink_to(self.folder / path.name)

    def _munge(self):
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        options = {"key-file": key, "socket": "munge.socket", "seed-file": "munge.seed", "log-file": "munged.log"}
        arguments = [f"--{name}={self.folder / path}" for name, path in options.items()]
        self._daemon("munged.pid", "munged", "--force", *arguments, f"--pid-file={self.folder / 'munged.pid'}")

    def _daemon(self, pid_file, *command):
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        path = self.folder / pid_file
        self.wait(lambda: path.exists() and path.read_text().strip(), f"{command[0]} has started", 30)
        self._started.append(int(path.read_text()))

    def _end(self, pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            daemon = psutil.Process(pid)
            for number in (signal.SIGTERM, signal.SIGKILL):
                daemon.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    # a zombie has ended: whether anybody reaps it is up to the machine's first process
                    self.wait(lambda: daemon.status() == psutil.STATUS_ZOMBIE, "the daemon has ended", 10)
                    return
