"""A gateway beside the supervised ones, on the same servers, with other settings."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping

import httpx
import msgspec

from crossdock.supervisor.folder import DataFolder
from tests.faults.stack import PROGRAM, Stack, _free_port, _variables
from tests.faults.waiting import until


@contextlib.asynccontextmanager
async def another_gateway(stack: Stack, environ: Mapping[str, str]) -> AsyncIterator[str]:
    """Run one, as an operator would to have more of them; give its address."""
    settings = DataFolder(stack.folder).settings()
    port = _free_port()
    variables = dict(_variables("CROSSDOCK_", msgspec.to_builtins(settings, enc_hook=str)))
    variables |= {
        "CROSSDOCK_GATEWAY__PORT": str(port),
        "CROSSDOCK_GATEWAY__METRICS_PORT": str(_free_port()),
        "CROSSDOCK_GATEWAY__PROCESSES": "1",
    }
    url = f"http://127.0.0.1:{port}"
    with stack.log.open("ab") as log:
        gateway = subprocess.Popen(  # noqa: ASYNC220 - it outlives this line
            [str(PROGRAM), "gateway"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=stack.environ | variables | dict(environ),
        )
    try:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def is_ready() -> bool:
                assert gateway.poll() is None, f"The gateway ended: {stack.tail()}"
                with contextlib.suppress(httpx.TransportError):
                    return (await http.get(f"{url}/health/ready")).status_code == 200
                return False

            await until(is_ready, lambda: f"another gateway: {stack.tail()}", within=30)
        yield url
    finally:
        gateway.terminate()
        try:
            gateway.wait(20)
        except subprocess.TimeoutExpired:
            gateway.kill()
            gateway.wait()
