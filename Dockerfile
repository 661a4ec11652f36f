# lsmkv-server in a small image. Build: docker build -t lsmkv .   Run: see README.md.

FROM debian:bookworm-slim AS build
WORKDIR /source
COPY scripts/setup.sh scripts/setup.sh
RUN scripts/setup.sh build
COPY . .
RUN scripts/build.sh && strip build/lsmkv-server build/lsmkv-tool
# The shipped configuration, fitted to a container; a line further down wins over the same one above.
RUN { cat config/lsmkv.conf; \
      printf '\n# ---- In the container ----\n\n'; \
      printf '# The volume.\ndir /data\n\n'; \
      printf '# All addresses: what can reach the server is what the container network and `docker run -p` let in.\n'; \
      printf '# Without protected mode, since every client comes from another address here: publish the port on\n'; \
      printf '# 127.0.0.1 only, or give --requirepass.\nbind * -::*\nprotected-mode no\n'; \
    } > /lsmkv.conf && build/lsmkv-server /lsmkv.conf --check-config

FROM debian:bookworm-slim
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      libstdc++6 libspdlog1.10 libfmt9 liblz4-1 libzstd1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin lsmkv \
 && install -d -m 0777 -o lsmkv -g lsmkv /data
COPY --from=build /source/build/lsmkv-server /source/build/lsmkv-tool /usr/local/bin/
COPY --from=build /lsmkv.conf /etc/lsmkv/lsmkv.conf
# Any other uid works as well (docker run --user): the server writes nowhere but into /data.
USER lsmkv
WORKDIR /data
VOLUME /data
EXPOSE 6379
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["lsmkv-server", "/etc/lsmkv/lsmkv.conf", "--ping"]
ENTRYPOINT ["lsmkv-server", "/etc/lsmkv/lsmkv.conf"]
