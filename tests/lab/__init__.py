# SPDX-License-Identifier: Apache-2.0
"""The lab: real sandboxes, nodes and internets out of network namespaces. Start at README.md."""
from .api_server import ApiServer
from .commands import CommandFailed, Daemon, run, wait_until
from .dns import Answer, ask, ask_tcp, build_query, parse_answer
from .gate import Gate
from .topology import Lab

__all__ = ["Answer", "ApiServer", "CommandFailed", "Daemon", "Gate", "Lab", "ask", "ask_tcp", "build_query", "parse_answer", "run",
           "wait_until"]
