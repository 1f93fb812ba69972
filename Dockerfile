# syntax=docker/dockerfile:1
# One image for all roles; the first word after it names the program:
#
#   docker build --tag restock .
#   docker run restock restock-worker --webhook-url https://shop.example/restock

# The compiler that the tests run with; debian is the release that this one stands on.
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies are a layer of their own: they are built again only when Cargo.toml or Cargo.lock change.
COPY Cargo.toml Cargo.lock ./
# Only the tests use it, but cargo wants to see it.
COPY model model
RUN mkdir -p bin src examples benches/whole tests \
    && for program in bin/restock-cli bin/restock-worker bin/restock-flusher bin/restock-api \
        examples/with_servers examples/store_state benches/whole/main tests/local_servers; do \
        echo 'fn main() {}' > "$program.rs"; done \
    && echo '//! Nothing yet.' > src/lib.rs
RUN cargo build --profile production --locked --no-default-features --bins
RUN rm -rf src bin target/production/restock-* target/production/librestock* target/production/deps/*restock* \
        target/production/.fingerprint/restock-*

# What the sources include lies in folders of its own; scripts/check-image.sh sees whether all of them are here.
COPY README.md ./
COPY lua lua
COPY migrations migrations
COPY page page
COPY bin bin
COPY src src
RUN cargo build --profile production --locked --no-default-features --bins
RUN mkdir /programs && find target/production -maxdepth 1 -type f -name 'restock-*' -perm -u+x -exec cp {} /programs/ \;

FROM debian:12.15-slim
LABEL org.opencontainers.image.title="restock" \
      org.opencontainers.image.description="Restock notifier: in line order, at a shared pace, until stock is gone" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# The roots that webhooks and backends with TLS are verified by; nothing else is needed, neither a shell nor curl.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin restock
COPY --from=build /programs/ /usr/local/bin/
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/restock/
USER 10001:10001
WORKDIR /tmp
ENV RESTOCK_LOG_FORMAT=json \
    RESTOCK_METRICS_LISTEN=0.0.0.0:9464
# 9464: /metrics, /livez, /readyz of every role. 8000: the API.
EXPOSE 8000 9464
# SIGTERM drains; give it longer than --drain-ms.
STOPSIGNAL SIGTERM
# The program asks itself: 0 when /livez answers, whichever role runs here and whatever its stores do.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["restock-cli", "probe", "--live"]
CMD ["restock-cli", "--help"]
