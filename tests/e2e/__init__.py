# SPDX-License-Identifier: Apache-2.0
"""A real one-node Kubernetes on one machine, and the scenarios run through it. Start at README.md."""
