# The server alone, run by a user of its own, with its data in a volume.
#
#   docker build -t taospg .
#   docker run -p 5432:5432 -e TAOS_LISTEN=0.0.0.0:5432 -e TAOS_PASSWORD=… -v taospg-data:/var/lib/taospg taospg
#
# Without a password only loopback is listened on, which the host's network reaches: docker run --network host … (docs/security.md).

FROM rust:1.95-bookworm AS build
# libclang: the bindings of RocksDB are generated.
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang libclang-dev cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package taospg-server \
 && cp "${CARGO_TARGET_DIR:-target}/release/taospg" /usr/local/bin/taospg

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/taospg --create-home --shell /usr/sbin/nologin taospg
COPY --from=build /usr/local/bin/taospg /usr/local/bin/taospg
USER taospg
WORKDIR /var/lib/taospg
ENV TAOS_DATA_DIR=/var/lib/taospg TAOS_LISTEN=127.0.0.1:5432
VOLUME /var/lib/taospg
EXPOSE 5432
# The port of the address that the server was told to listen on answers.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["bash", "-c", "exec 3<>\"/dev/tcp/${TAOS_LISTEN%:*}/${TAOS_LISTEN##*:}\""]
STOPSIGNAL SIGTERM
ENTRYPOINT ["taospg"]
