fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    login_tracer::supervise::trace::run(
        &Default::default(),
        std::path::Path::new("/tmp/lt"),
        None,
        Some(std::path::Path::new("/tmp/lt/rec.jsonl")),
    )
}
