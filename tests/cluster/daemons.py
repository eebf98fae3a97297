"""A real Slurm and a real Grid Engine on this machine, for as long as the tests last, in a folder of their own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

HOST = socket.gethostname().split(".")[0]
START = 30  # seconds
SYSTEM_PATHS = "/usr/sbin:/sbin"  # of the daemons, which not every user's PATH has


class CannotStartError(Exception):
    """Why there is no such queue here."""


def wait_for(condition: Callable[[], object], seconds: float, what: Callable[[], str] = str) -> None:
    """Wait until a condition holds; fails with the text of `what`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain\n{what()}"
        time.sleep(0.3)


def run(*command: object, env: dict[str, str], check: bool = True, cwd: Path | None = None) -> str:
    """Return the output of a command."""
    done = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, timeout=60, cwd=cwd)
    assert not check or done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


def find(*programs: str) -> None:
    """Raise CannotStartError where one is not installed, or this user may not start it."""
    missing = [name for name in programs if not shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM_PATHS}")]
    if missing:
        raise CannotStartError(f"{', '.join(missing)} not installed")
    if os.getuid() != 0:
        raise CannotStartError("only root can start its daemons")


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def end_all(mark: str, value: Path) -> None:
    """End every process with this value of `mark` in its environment: the daemons and their children."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(mark) == str(value):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    for process in found:
        process.terminate()
    for process in psutil.wait_procs(found, timeout=5)[1]:
        process.kill()


def watch(mark: str, value: Path) -> None:
    """Start a process that ends them all as soon as this one is gone, however it went."""
    command = [sys.executable, __file__, str(os.getpid()), mark, str(value)]
    subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Slurm:
    """munged, slurmctld and slurmd, with one make-believe GPU."""

    name = "slurm"
    programs = ("munged", "slurmctld", "slurmd", "sbatch")

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.env = os.environ | {"SLURM_CONF": str(self.conf), "PATH": f"{os.environ['PATH']}:{SYSTEM_PATHS}"}

    def start(self) -> None:
        watch("SLURM_CONF", self.conf)
        self.folder.chmod(0o755)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        socket_path = self.folder / "munge.socket"
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.conf.write_text(f"""
ClusterName=tests
SlurmctldHost={HOST}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
AuthType=auth/munge
# a job that is requeued waits until the credential of its first start has expired
AuthInfo=socket={socket_path},cred_expire=5
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=5
MinJobAge=86400
ReturnToService=2
GresTypes=gpu
NodeName={HOST} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=1000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={HOST} Default=YES MaxTime=INFINITE State=UP
""")
        # without a File, or with a device that is not there, slurmd counts no GPU
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        files = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("key-file", "log-file", "pid-file")]
        self._daemon(
            "munged", "--foreground", "--force", *files, f"--seed-file={self.folder}/seed", f"--socket={socket_path}"
        )
        wait_for(socket_path.exists, START, self.logs)
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D", "-N", HOST)
        wait_for(lambda: "idle" in self("sinfo", "-h", "-o", "%T", check=False), START, self.logs)

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("w") as out:
            subprocess.Popen(command, env=self.env, stdout=out, stderr=out, cwd=self.folder, start_new_session=True)

    def __call__(self, *command: object, check: bool = True) -> str:
        return run(*command, env=self.env, check=check)

    def logs(self) -> str:
        return "".join(f"{path.name}:\n{path.read_text()[-3000:]}\n" for path in self.folder.glob("*.out"))

    def stop(self) -> None:
        if self("squeue", "-h", check=False):
            self("scancel", "--user=root", check=False)
        end_all("SLURM_CONF", self.conf)

    def options(self) -> list[str]:
        """Further options for submit.sh: no more CPUs and memory than this machine has."""
        small = "--cpus-per-task=1 --mem=0"
        return ["--cpu-options", small, "--gpu-options", small]

    def waiting(self) -> str:
        """The jobs that have not ended."""
        return self("squeue", "-h", "-o", "%i %j %T %r")

    def warn(self, job: str) -> None:
        """The warning that comes 120 s before the time limit: to the job script alone."""
        self("scancel", "--batch", "--signal=USR1", job)

    def cancel(self, *jobs: str) -> None:
        self("scancel", *jobs)

    def starts(self, job: str) -> int:
        """How often a job was started."""
        return 1 + int(re.search(r"Restarts=(\d+)", self("scontrol", "show", "job", job))[1])


GRID_ENGINE = Path("/var/lib/gridengine")  # where Debian puts it
LIMITS = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")
QUEUE = """
qname main.q
hostlist {host}
slots 2
shell /bin/bash
shell_start_mode unix_behavior
seq_no 0
load_thresholds NONE
suspend_thresholds NONE
nsuspend 1
suspend_interval 00:05:00
priority 0
min_cpu_interval 00:05:00
processors UNDEFINED
qtype BATCH
ckpt_list NONE
pe_list NONE
rerun TRUE
tmpdir /tmp
prolog NONE
epilog NONE
starter_method NONE
suspend_method NONE
resume_method NONE
terminate_method NONE
notify 00:00:60
owner_list NONE
user_lists NONE
xuser_lists NONE
subordinate_list NONE
complex_values NONE
projects NONE
xprojects NONE
calendar NONE
initial_state default
""" + "".join(f"{kind}_{what} INFINITY\n" for what in LIMITS for kind in "sh")


class GridEngine:
    """sge_qmaster and sge_execd, with one make-believe GPU, in a root folder of their own."""

    name = "gridengine"
    programs = ("sge_qmaster", "sge_execd", "qsub", "qconf")

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        ports = {f"SGE_{name}_PORT": str(free_port()) for name in ("QMASTER", "EXECD")}
        self.env = os.environ | ports | {"SGE_ROOT": str(self.root), "SGE_CELL": "default"}

    def start(self) -> None:
        watch("SGE_ROOT", self.root)
        common = self.root / "default" / "common"
        for path in (common, self.folder / "qmaster" / "job_scripts", self.folder / "execd", self.folder / "spooldb"):
            path.mkdir(parents=True)
        for name in ("bin", "lib", "util", "utilbin"):
            (self.root / name).symlink_to((GRID_ENGINE / name).resolve())
        bootstrap = Path("/usr/share/gridengine/default-bootstrap").read_text()
        bootstrap = bootstrap.replace("/var/spool/gridengine", str(self.folder))
        (common / "bootstrap").write_text(re.sub(r"(?m)^admin_user .*", "admin_user none", bootstrap))
        (common / "act_qmaster").write_text(f"{HOST}\n")
        # the loopback address has several names
        (common / "host_aliases").write_text(f"{HOST} localhost\n")
        self("/usr/share/gridengine/scripts/init_cluster", self.root, "default", self.folder / "spooldb", "root")
        self("sge_qmaster")
        wait_for(lambda: self("qconf", "-sconf", check=False), START, self.logs)
        self._configure()
        self("sge_execd")
        wait_for(lambda: re.search(rf"{HOST} +lx-\S+ +\d", self("qhost", check=False)), START, self.logs)

    def _configure(self) -> None:
        changed = {
            "min_uid": "0",
            "min_gid": "0",
            "execd_spool_dir": self.folder / "execd",
            "load_report_time": "00:00:02",
            "reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
        }
        lines = re.sub(r"\\\n\s*", "", self("qconf", "-sconf")).splitlines()[1:]
        told = [f"{name} {changed.get(name, value)}" for name, value in (line.split(maxsplit=1) for line in lines)]
        self._set("-Mconf", "global", "\n".join(told))
        scheduler = re.sub(r"schedule_interval .*", "schedule_interval 0:0:1", self("qconf", "-ssconf"))
        self._set("-Msconf", "scheduler", scheduler)
        self._set("-Mc", "complexes", self("qconf", "-sc") + "\ngpus gpus INT <= YES YES 0 0")
        self("qconf", "-as", HOST)
        self("qconf", "-ah", HOST, check=False)  # it may be one already
        self._set(
            "-Ae",
            "host",
            f"hostname {HOST}\nload_scaling NONE\ncomplex_values gpus=1\nuser_lists NONE\n"
            "xuser_lists NONE\nprojects NONE\nxprojects NONE\nusage_scaling NONE\nreport_variables NONE",
        )
        self._set("-Aq", "queue", QUEUE.format(host=HOST))

    def _set(self, option: str, name: str, content: str) -> None:
        path = self.folder / name
        path.write_text(content.strip() + "\n")
        run("qconf", option, path.name, env=self.env, cwd=self.folder)

    def __call__(self, *command: object, check: bool = True) -> str:
        return run(*command, env=self.env, check=check)

    def logs(self) -> str:
        return "".join(f"{path}:\n{path.read_text()[-3000:]}\n" for path in self.folder.rglob("messages"))

    def stop(self) -> None:
        self("qdel", "-u", "root", check=False)
        end_all("SGE_ROOT", self.root)

    def options(self) -> list[str]:
        return []

    def waiting(self) -> str:
        return self("qstat")

    def warn(self, job: str) -> None:
        """The signal that comes at the soft limit of the time, to all processes of the job."""
        found = [process for process in psutil.process_iter() if self._of(process, job)]
        for process in found:
            process.send_signal(signal.SIGUSR1)

    @staticmethod
    def _of(process: psutil.Process, job: str) -> bool:
        try:
            return process.environ().get("JOB_ID") == job
        except psutil.Error:
            return False

    def cancel(self, *jobs: str) -> None:
        self("qdel", *jobs)

    def starts(self, job: str) -> int:
        """How often a job was started: once more than it was rescheduled."""
        log = (self.root / "default" / "common" / "accounting").read_text()
        return sum(line.split(":")[5] == job for line in log.splitlines() if not line.startswith("#"))


if __name__ == "__main__":
    parent, mark, value = sys.argv[1:]
    while psutil.pid_exists(int(parent)):
        time.sleep(2)
    end_all(mark, Path(value))
