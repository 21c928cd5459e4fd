"""Headless Chromium: what a page shows, asks for and complains of."""

import re
import shutil
import subprocess

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
_FLAGS += ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def run(page, profile, *flags, width=1280, height=1600):
    """Open a page from its file; (what was printed to stdout, the log). `profile` is an empty folder."""
    command = [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *flags]
    found = subprocess.run([*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr
    return found.stdout, found.stderr


def screenshot(page, profile, out, width, height=1600):
    run(page, profile, f"--screenshot={out}", width=width, height=height)
    return out


def complaints(page, profile):
    """Console messages of the page."""
    _, log = run(page, profile, "--enable-logging=stderr", "--v=0", "--dump-dom")
    return re.findall(r"CONSOLE.*", log)


def requests(page, profile, log):
    """Addresses that the page made the browser ask for, by its network log; the browser's own updates aside."""
    run(page, profile, f"--log-net-log={log}", "--net-log-capture-mode=Everything", "--dump-dom")
    lines = [line for line in log.read_text().splitlines() if "SiteForCookies: {site=file://" in line]
    return {address for line in lines for address in re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]*)"', line)}
