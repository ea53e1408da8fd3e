# docker build -t kootask .
# docker run -p 8080:8080 kootask dev            the local stand-in
# docker run -p 8080:8080 -v kootask:/data -v ./kootask.toml:/etc/kootask.toml:ro \
#   kootask serve --config /etc/kootask.toml     the service

FROM rust:1.95-bookworm AS build
WORKDIR /build

# The dependencies in a layer of their own: it is built again only when they
# change. The targets of the manifest stand in as empty files.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests benches/create benches/list \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs tests/suite.rs benches/create/main.rs benches/list/main.rs \
    && cargo build --release --locked --bin kootask

COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin kootask \
    && mkdir /data

# No shell and no package manager; the user has the number 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/kootask /usr/local/bin/kootask
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# The default store, sqlite://data/kootask.db, is then /data/kootask.db.
WORKDIR /
VOLUME /data
# Within a container the loopback address would be out of everybody's reach.
ENV KOOTASK__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["kootask"]
CMD ["serve"]
