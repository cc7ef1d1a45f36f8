//! `cutover init`: looks at a namespace and a Prometheus, and writes a runbook.

use std::{
    fs::OpenOptions,
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use super::args::InitArgs;
use crate::{
    config,
    domain::{
        runbook::Strategy,
        safe_text::SafeText,
        survey::{Survey, is_object_name},
    },
    flight::{
        exit::Exit,
        say::talk,
        stop::Stop,
        survey::{Cluster, ask, prometheus_url},
        who,
    },
    init::{
        example,
        measure::Measured,
        page::{Answers, Written, write},
        shape::{Candidate, Unchosen, choose},
    },
};

/// Writes the runbook, or an example; never over a file that is there.
///
/// # Errors
/// If the cluster cannot be read, there is nothing to deploy, somebody must choose and nobody is there, or the file exists.
pub async fn main(args: InitArgs) -> Result<Exit, Stop> {
    let file = &args.output;
    if file.exists() {
        return Err(exists(file));
    }
    if let Some(name) = &args.example {
        let text = example(name).ok_or_else(|| Stop::usage(format!("there is no example {name}")))?;
        save(file, &text)?;
        talk(&format!("wrote {}, the example for {name}: put your own names in", file.display()));
        return Ok(Exit::Done);
    }
    let desk = Desk { asks: !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() };
    let cluster = Cluster::connect(args.context.as_deref(), args.kubeconfig.clone()).await?;
    let (context, server) = cluster.place();
    talk(&format!("reading the cluster of context {context} ({server}); nothing is changed"));
    let namespace = namespace(&args, &desk, &cluster).await?;
    let survey = cluster.read(&namespace).await?;
    for refused in &survey.forbidden {
        talk(refused);
    }
    let candidate = service(&args, &desk, &survey)?;
    talk(&candidate.words());
    let prometheus = prometheus(&args, &desk)?;
    let measured = match &prometheus {
        Some(url) => looked_at(url, &survey, &candidate).await?,
        None => Measured::default(),
    };
    let answers = Answers {
        strategy: args.strategy.as_deref().and_then(strategy),
        prometheus,
        pin_context: args.context.is_some(),
        author: format!("@{}", who::user()),
        date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
    };
    let written = write(&survey, &candidate, &measured, &answers).map_err(Stop::unfit)?;
    refuse_own_faults(file, &written)?;
    save(file, &written.text)?;
    talk(&format!(
        "wrote {}: {}, {} lines, {} found, {} TODO",
        file.display(),
        written.strategy.word(),
        written.text.lines().count(),
        written.found,
        written.todo
    ));
    talk(&format!("next: cutover check --online {0}, then cutover rehearse {0}", file.display()));
    Ok(Exit::Done)
}

/// Plain questions, where somebody is there to answer them.
struct Desk {
    asks: bool,
}

impl Desk {
    /// Asks on one line; an empty answer is the default.
    fn ask(question: &str, default: &str) -> Result<String, Stop> {
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let _ = write!(std::io::stderr().lock(), "{question}{shown}: ");
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Err(Stop::person(
                "nobody answers; `cutover init --help` shows the flag for each question",
            ));
        }
        let line = line.trim();
        Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
    }

    /// One of several: asked for, or an error that names them and the flag.
    fn choose(&self, what: &str, several: &[String], flag: &str) -> Result<String, Stop> {
        const SHOWN: usize = 20;
        let more = several.len().saturating_sub(SHOWN);
        let mut names = several.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            names = format!("{names} and {more} more");
        }
        if !self.asks {
            return Err(Stop::usage(format!("there are several {what}: {names}\nname one with {flag}")));
        }
        talk(&format!("there are several {what}: {names}"));
        Self::ask("Which one?", several.first().map_or("", String::as_str))
    }
}

async fn namespace(args: &InitArgs, desk: &Desk, cluster: &Cluster) -> Result<String, Stop> {
    let name = match (&args.namespace, cluster.own_namespace()) {
        (Some(name), _) => name.clone(),
        (None, Some(own)) if desk.asks => Desk::ask("Namespace", &own)?,
        (None, Some(own)) => {
            talk(&format!("namespace {own}, which the context names; --namespace names another one"));
            own
        }
        (None, None) => match cluster.namespaces().await?.as_slice() {
            [] => "default".to_owned(),
            [one] => {
                talk(&format!("namespace {one}, the only one with a Deployment"));
                one.clone()
            }
            several => desk.choose("namespaces", several, "--namespace")?,
        },
    };
    if is_object_name(&name) {
        return Ok(name);
    }
    Err(Stop::usage(format!(
        "{} is not a valid name of a namespace\nkubectl get namespaces shows them",
        SafeText::new(&name)
    )))
}

fn service(args: &InitArgs, desk: &Desk, survey: &Survey) -> Result<Candidate, Stop> {
    let mut wanted = args.service.clone();
    loop {
        match choose(survey, wanted.as_deref()) {
            Ok(candidate) => return Ok(candidate),
            Err(Unchosen::Unfit(why)) => return Err(Stop::unfit(why)),
            Err(Unchosen::Several(names)) => {
                let what = format!("Services or routes in namespace {}", survey.namespace);
                wanted = Some(desk.choose(&what, &names, "--service")?);
            }
        }
    }
}

fn prometheus(args: &InitArgs, desk: &Desk) -> Result<Option<String>, Stop> {
    let text = match &args.prometheus {
        Some(url) => url.clone(),
        None if desk.asks => Desk::ask("URL of the Prometheus (empty: none)", "")?,
        None => String::new(),
    };
    if text.is_empty() {
        talk("no Prometheus: the runbook has no metrics yet; --prometheus URL names one");
        return Ok(None);
    }
    prometheus_url(&text).map(Some)
}

async fn looked_at(url: &str, survey: &Survey, candidate: &Candidate) -> Result<Measured, Stop> {
    let measured = ask(url, survey, candidate).await?;
    for metric in &measured.metrics {
        talk(&format!("{}: {}", metric.title.to_lowercase(), metric.found.join("; ")));
    }
    for gap in &measured.gaps {
        talk(&SafeText::new(gap));
    }
    Ok(measured)
}

fn strategy(word: &str) -> Option<Strategy> {
    [Strategy::BlueGreen, Strategy::Canary, Strategy::Rolling, Strategy::Recreate]
        .into_iter()
        .find(|strategy| strategy.word() == word)
}

/// What is written has to load; where it does not, that is our fault, and nothing is written.
fn refuse_own_faults(file: &Path, written: &Written) -> Result<(), Stop> {
    let loaded = config::load_str(&file.display().to_string(), &written.text);
    if loaded.errors() == 0 {
        return Ok(());
    }
    Err(Stop::Told(
        Exit::Internal,
        format!(
            "what was to be written is no valid runbook; this is a fault of cutover, and nothing was written\n{}",
            loaded.render(false)
        ),
    ))
}

fn exists(file: &Path) -> Stop {
    Stop::usage(format!(
        "{} is there already, and is not overwritten\nname another file with --output",
        file.display()
    ))
}

fn save(file: &Path, text: &str) -> Result<(), Stop> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(file),
        _ => {
            Stop::usage(format!("cannot write {}: {error}\nname another file with --output", file.display()))
        }
    };
    let mut new = OpenOptions::new().write(true).create_new(true).open(file).map_err(cannot)?;
    new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(|error| {
        // Half a runbook is worse than none.
        let _ = std::fs::remove_file(file);
        cannot(error)
    })
}
