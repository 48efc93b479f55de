# SPDX-License-Identifier: Apache-2.0
#
# The same image as ./dev image makes, built elsewhere: docker build -t postern:dev .
#
# `scripts/image.sh --root` gathers the files in both. BASE must be Debian 12 or 13, which scripts/deps.sh knows.
ARG BASE=debian:12
FROM ${BASE} AS build
WORKDIR /src
COPY . .
RUN scripts/deps.sh
RUN cmake --preset release && ninja -C build/release posternd postern-setup postern-dns postern-observer postern
RUN scripts/image.sh --root /image

FROM scratch
COPY --from=build /image/ /
ENV PATH=/usr/bin
CMD ["/usr/bin/posternd"]
