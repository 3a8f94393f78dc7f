#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent's page in a real browser: what is on it, that it lives, that alerts can be acknowledged, that it comes back after the agent
was started anew, and that nothing lies over anything at the width of a phone and of a desk, dark and light.

    dashboard.py BUILD SCRATCH [PICTURES]

Talks to headless Chromium over its debugging port (https://chromedevtools.github.io/devtools-protocol/) by a WebSocket of its own, so
that nothing has to be installed beside the browser. Ends with 0, or says what is wrong. PICTURES: where screenshots are put.
"""
import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

PATIENCE = 60  # seconds; a machine may be busy
WIDTHS = ((390, 844), (1440, 900))


class Page:
    """One page of the browser."""

    def __init__(self, url):
        host, port, path = re.match(r"ws://([^:/]+):(\d+)(/.*)", url).groups()
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        self.buffer = self.buffer.split(b"\r\n\r\n", 1)[1]
        self.number = 0
        self.complaints = []
        for domain in ("Page", "Runtime", "Log"):
            self.ask(domain + ".enable")

    def take(self, n):
        while len(self.buffer) < n:
            more = self.socket.recv(65536)
            if not more:
                raise SystemExit("the browser has gone")
            self.buffer += more
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(data))
        self.socket.sendall(b"\x81" + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        text = b""
        while True:
            first, second = self.take(2)
            n = second & 127
            n = struct.unpack(">H", self.take(2))[0] if n == 126 else struct.unpack(">Q", self.take(8))[0] if n == 127 else n
            part = self.take(n)
            if first & 15 in (0, 1):
                text += part
                if first & 0x80:
                    return json.loads(text)

    def ask(self, method, **parameters):
        self.number += 1
        self.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = self.receive()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(answer["params"]["exceptionDetails"])
            if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["source"] in ("security", "javascript"):
                self.complaints.append(answer["params"]["entry"])
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]

    def value(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def expect(self, expression, what):
        until = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > until:
                raise SystemExit(f"not within {PATIENCE} s: {what}: {expression}\n{self.value('document.body.innerText')}")
            time.sleep(0.1)


# Pairs of texts that lie over each other, and what is wider than the page. Only what has a text of its own is looked at.
OVERLAPS = """(() => {
    const found = [], boxes = [];
    if (document.documentElement.scrollWidth > innerWidth)
        found.push(`the page is ${document.documentElement.scrollWidth} px wide and not ${innerWidth}`);
    for (const e of document.querySelectorAll("body *")) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!own || !e.checkVisibility() || e.closest("script, style, option, thead, svg"))
            continue;
        for (const box of e.getClientRects())
            if (box.width > 1 && box.height > 1)
                boxes.push({e, box});
    }
    for (let i = 0; i < boxes.length; i++)
        for (let k = i + 1; k < boxes.length; k++) {
            const a = boxes[i], b = boxes[k];
            const list = x => x.e.closest("#events");
            if (a.e === b.e || a.e.contains(b.e) || b.e.contains(a.e) || (list(a) && !list(b)) || (list(b) && !list(a)))
                continue;
            const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
            const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
            if (wide > 2 && high > 4)
                found.push(`"${a.e.textContent.trim().slice(0, 40)}" and "${b.e.textContent.trim().slice(0, 40)}"`);
        }
    return found.slice(0, 5).join("; ");
})()"""


class Stage:
    """weir, two servers and a browser, in a folder of their own."""

    def __init__(self, build, scratch):
        self.build, self.scratch, self.children = os.path.abspath(build), os.path.abspath(scratch), []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "XDG_", "LD_PRELOAD"))}
        for name in ("run", "state", "config"):
            os.makedirs(os.path.join(self.scratch, name), mode=0o700, exist_ok=True)
        config = os.path.join(self.scratch, "weir.conf")
        with open(config, "w") as out:
            out.write('alerts = { error_rate = "10%"; throttled_rate = "10%"; min_samples = 5; for = "0s"; window = "1h"; };\n'
                      'defaults = { breaker = false; wait = { max = "2s"; }; };\n')
        self.environment |= {"WEIR_RUNTIME_DIR": os.path.join(self.scratch, "run"), "XDG_STATE_HOME": os.path.join(self.scratch, "state"),
                             "XDG_CONFIG_HOME": os.path.join(self.scratch, "config"), "HOME": self.scratch, "WEIR_CONFIG": config,
                             "NO_PROXY": "*", "TZ": "UTC"}

    def start(self, *argv, **more):
        child = subprocess.Popen(argv, env=self.environment, **more)
        self.children.append(child)
        return child

    def weir(self, *argv):
        return subprocess.run([self.build + "/weir", *argv], env=self.environment, capture_output=True, text=True, check=False).stdout

    def server(self, name, *options):
        ready = os.path.join(self.scratch, name)
        self.start(self.build + "/quotad", "--ready-file", ready, "--die-with-parent", *options, stdout=subprocess.DEVNULL)
        return int(re.search(r"http=(\d+)", self.wait_for(ready, "http=")).group(1))

    def wait_for(self, path, text):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                with open(path) as file:
                    said = file.read()
                if text in said:
                    return said
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit(f"not within {PATIENCE} s: {text} in {path}")

    def requests(self, port, count):
        for _ in range(count):
            subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/"], check=False,
                           env=self.environment | {"LD_PRELOAD": self.build + "/libweir.so"})

    def agent(self, port):
        said = os.path.join(self.scratch, "url")
        with open(said, "w") as out:
            child = self.start(self.build + "/weir", "agent", "--http", f"127.0.0.1:{port}", stdout=out)
        return child, self.wait_for(said, "\n").strip()

    def browser(self):
        profile = os.path.join(self.scratch, "profile")
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.start("chromium", "--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + profile, "--disable-gpu",
                   "--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage", "--lang=en-GB", *root, "about:blank",
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return int(self.wait_for(profile + "/DevToolsActivePort", "\n").split("\n")[0])

    def end(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def new_page(port):
    ask = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return Page(json.load(opener.open(ask, timeout=PATIENCE))["webSocketDebuggerUrl"])


def look_at_widths(page, pictures):
    for width, height in WIDTHS:
        for scheme in ("light", "dark"):
            page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
            page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            page.expect(f"innerWidth === {width}", "the page has its width")
            overlaps = page.value(OVERLAPS)
            if overlaps:
                raise SystemExit(f"at {width} px, {scheme}: {overlaps}")
            if pictures:
                shot = page.ask("Page.captureScreenshot", format="png")
                with open(os.path.join(pictures, f"dashboard-{width}-{scheme}.png"), "wb") as out:
                    out.write(base64.b64decode(shot["data"]))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(stage, pictures):
    good, bad = stage.server("good", "--latency-ms", "20"), stage.server("bad", "--error-mix", "500:0.5", "--latency-ms", "5")
    port = free_port()
    agent, url = stage.agent(port)
    stage.requests(good, 12)
    stage.requests(bad, 16)
    debugging = stage.browser()
    page = new_page(debugging)
    page.ask("Page.navigate", url=url)
    if pictures:
        for _ in range(15):  # something to see in the charts
            stage.requests(good, 4)
            stage.requests(bad, 1)
            time.sleep(1)

    # What is on it.
    page.expect("document.getElementById('link')?.textContent === 'live'", "the page is live")
    page.expect("document.querySelectorAll('#hosts tr[data-host]').length === 2", "both hosts are shown")
    page.expect("document.getElementById('health').textContent === 'unhealthy'", "health is shown")
    page.expect(f"document.querySelector('#alerts .host')?.textContent === '127.0.0.1:{bad}'", "the alert is shown")
    page.expect("document.querySelector('#alerts li').innerText.includes('of requests failed (threshold 10%)')", "with its reason")
    page.expect("document.getElementById('events').innerText.includes('alert: ')", "the alert is among the events")
    page.expect("location.hash === ''", "the token does not stay in the address")

    # It lives.
    before = page.value("document.getElementById('totals').textContent")
    stage.requests(good, 1)
    page.expect(f"document.getElementById('totals').textContent !== {json.dumps(before)}", "a request is shown without a reload")

    # The details of a host, by the keyboard's way: a button. And the charts.
    page.value(f"document.querySelector('tr[data-host=\"127.0.0.1:{good}\"] button').click()")
    page.expect("!document.getElementById('detail').hidden", "details are shown")
    page.expect("document.querySelectorAll('#explain li').length > 0", "with what holds for the host")
    page.expect("document.activeElement.id === 'detail-name'", "and the focus goes there")
    look_at_widths(page, pictures)

    # Who has no token is offered nothing, and would get nothing.
    stranger = new_page(debugging)
    stranger.ask("Page.navigate", url=url.split("#")[0])
    stranger.expect("document.querySelectorAll('#alerts li').length === 1", "a stranger sees the alert")
    stranger.expect("[...document.querySelectorAll('#alerts button')].every(b => !b.checkVisibility())", "and no button")
    name = f"127.0.0.1%3A{bad}"
    if stranger.value(f"fetch('/v1/hosts/{name}/ack', {{method: 'POST', body: '{{}}'}}).then(r => r.status)") != 401:
        raise SystemExit("a stranger may acknowledge")

    # Who has it acknowledges.
    page.value("document.querySelector('#alerts button').click()")
    page.expect("document.querySelector('#alerts li').innerText.includes('acknowledged')", "the alert is acknowledged")
    page.expect("document.getElementById('alert-done').textContent === 'done'", "and that is said")
    if ", acknowledged" not in stage.weir("alert", "list"):
        raise SystemExit("the page says acknowledged, and weir alert does not")
    stranger.expect("document.querySelector('#alerts li').innerText.includes('acknowledged')", "everybody sees it")

    # The agent goes, and another comes.
    agent.send_signal(signal.SIGTERM)
    agent.wait(PATIENCE)
    page.expect("document.getElementById('link').textContent.startsWith('no connection')", "the page says that nobody is there")
    stage.agent(port)
    page.expect("document.getElementById('link').textContent === 'live'", "it comes back by itself")
    page.expect("document.querySelector('#alerts li')?.innerText.includes('acknowledged')", "and the alert is what it was")
    before = page.value("document.getElementById('totals').textContent")
    stage.requests(good, 1)
    page.expect(f"document.getElementById('totals').textContent !== {json.dumps(before)}", "and it lives")
    for p in (page, stranger):
        if p.complaints:
            raise SystemExit(f"the browser complains: {p.complaints}")


def main():
    stage = Stage(sys.argv[1], sys.argv[2])
    try:
        run(stage, sys.argv[3] if len(sys.argv) > 3 else None)
    finally:
        stage.end()


main()
