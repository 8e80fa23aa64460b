"""A PostgreSQL server of one's own, in a temporary directory, without a port; for tests only."""

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"
PROGRAMS = ("initdb", "pg_ctl", "psql")


def find_programs():
    """Return the folder of PostgreSQL's programs, None where there are none: Debian keeps them out of PATH."""
    named = shutil.which("initdb")
    folders = [Path(named).resolve().parent] if named else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = (folder for folder in folders if all((folder / name).exists() for name in PROGRAMS))
    return next(whole, None)


def why_not():
    """Return why no server can be started here, None if one can."""
    if find_programs() is None:
        return f"PostgreSQL's {', '.join(PROGRAMS)} are not installed"
    if os.geteuid() == 0:  # PostgreSQL does not run as root; its own account can
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"PostgreSQL does not run as root, and there is no account {USER}"
        if shutil.which("runuser") is None:
            return "PostgreSQL does not run as root, and there is no runuser"
    return None


class Server:
    """A running server; ``psql`` runs a script against it and returns what it prints."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder

    def run(self, program, *words, cwd=None):
        account = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        command = [*account, str(self.programs / program), *map(str, words)]
        return subprocess.run(command, cwd=cwd or self.folder, capture_output=True, text=True, check=False)

    def psql(self, *words, cwd=None):
        """Return (exit status, lines, errors) of psql; lines are columns with | between."""
        connection = ["-h", self.folder, "-U", USER, "-d", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = self.run("psql", *connection, *words, cwd=cwd)
        return done.returncode, done.stdout.splitlines(), done.stderr


@contextmanager
def running_server():
    """Yield a fresh server, and take it away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket has a limit
    server = Server(find_programs(), folder)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        made = server.run("initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        assert made.returncode == 0, made.stderr
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        log = folder / "log"
        started = server.run("pg_ctl", "-D", folder / "data", "-l", log, "-w", "-o", options, "start")
        assert started.returncode == 0, started.stdout + (log.read_text() if log.exists() else "")
        yield server
    finally:
        server.run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
