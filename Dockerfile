# docker build -t kootask .                      the service
# docker build -t kootask-dev --target dev .     the stand-in for KooDrive
#
# To hold what it stands on fixed, give the base with the digest that you checked:
#   --build-arg RUNTIME=gcr.io/distroless/cc-debian12:nonroot@sha256:…
ARG BUILDER=rust:1.95-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot
# The crates of Cargo.lock belong to the image's bill of materials.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

FROM ${BUILDER} AS build
WORKDIR /build
# Line numbers would be most of the image; the names in a backtrace stay.
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=debuginfo

# The dependencies in a layer of their own: it is built again only when they
# change. What the manifest names stands in as empty programs.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN sed -n 's/^path = "\(.*\)"$/\1/p' Cargo.toml >targets \
    && while read -r target; do \
      mkdir -p "$(dirname "$target")" && echo 'fn main() {}' >"$target" || exit; \
    done <targets \
    && cargo build --release --locked --bin kootask

# The commit, for «kootask --version» and kootask_build_info.
ARG KOOTASK_REVISION
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin kootask \
    && mkdir /data

# The program alone: docker build --target program --output type=local,dest=. .
FROM scratch AS program
COPY --from=build /build/target/release/kootask /

# No shell and no package manager; the user has the number 65532.
FROM ${RUNTIME} AS base
LABEL org.opencontainers.image.title="kootask" \
      org.opencontainers.image.description="A KooDrive-compatible task service" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/target/release/kootask /usr/local/bin/kootask
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# The default store, sqlite://data/kootask.db, is then /data/kootask.db; nothing
# else is written, so that the root file system may be read-only.
WORKDIR /
VOLUME /data
# Within a container the loopback address would be out of everybody's reach.
ENV KOOTASK__SERVER__LISTEN=0.0.0.0:8080 KOOTASK__SERVER__OPS_LISTEN=0.0.0.0:8081
EXPOSE 8080 8081
HEALTHCHECK --interval=5s --start-period=10s --start-interval=100ms CMD ["kootask", "healthcheck"]
ENTRYPOINT ["kootask"]

# Service containers of CI systems pass no command.
FROM base AS dev
CMD ["dev"]

FROM base AS service
CMD ["serve"]
