//! `status --watch`: looks every second, and shows it on a screen or in lines.

use std::{
    io,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use super::{
    lines,
    screen::{self, Look},
    speed::Speeds,
};
use crate::{
    cli::{
        Context,
        exit::{Exit, Failure},
        output::{self, Output},
    },
    ids::ProductId,
    mysql::setting::Settings,
    report::{
        Sources,
        moment::{self, Moment},
    },
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// A look that takes long is followed by a rest of so many times as long: MySQL has other work.
const REST_TIMES: u32 = 3;

/// What was seen, or what went wrong, in one line.
type Looked = Result<Moment, String>;

pub(super) async fn run(
    context: &Context,
    sources: Sources,
    product: Option<ProductId>,
    on_screen: bool,
) -> anyhow::Result<Exit> {
    let mut eye = Eye { context: context.clone(), sources, product };
    // What is wrong at first is told as `status` tells it; later it is shown, and looked again.
    let first = eye.look().await?;
    let (sender, looks) = mpsc::channel(1);
    tokio::spawn(eye.watch(first, sender));
    if on_screen { show(context, looks).await } else { print(context, looks).await }
}

/// Looks again and again.
struct Eye {
    context: Context,
    sources: Sources,
    product: Option<ProductId>,
}

impl Eye {
    async fn look(&mut self) -> anyhow::Result<Moment> {
        self.sources.settings = Settings::load(&self.sources.mysql).await?;
        if self.sources.redis.is_none() {
            self.sources.redis = self.context.redis_if_up().await?;
        }
        let moment = moment::now(&self.sources, self.product).await?;
        if !moment.live {
            // Its patience is over: the next look connects anew.
            self.sources.redis = None;
        }
        Ok(moment)
    }

    async fn watch(mut self, first: Moment, sender: mpsc::Sender<Looked>) {
        let mut looked = Ok(first);
        let mut rest = EVERY;
        loop {
            if sender.send(looked).await.is_err() {
                return;
            }
            sleep(rest).await;
            let start = Instant::now();
            looked = self.look().await.map_err(|error| Failure::of(&error, &self.context.backends).to_string());
            rest = EVERY.max(start.elapsed() * REST_TIMES);
        }
    }
}

/// Resolves when somebody ends this process. From this call on, not from the first poll: a signal that comes in between
/// would end the process with the terminal as it is.
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let [mut interrupt, mut terminate, mut hangup] =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn looking_ended() -> anyhow::Error {
    Failure::new(Exit::Failure, "looking has ended by itself; start `restock-cli status --watch` again").into()
}

/// One look, for programs.
#[derive(Serialize)]
struct Document<'a> {
    at: String,
    #[serde(flatten)]
    moment: &'a Moment,
}

/// Lines of what is new; with JSON a document per look, each on a line.
async fn print(context: &Context, mut looks: mpsc::Receiver<Looked>) -> anyhow::Result<Exit> {
    let (mut before, mut speeds, mut trouble) = (None, Speeds::default(), None);
    let ended = told_to_end()?;
    tokio::pin!(ended);
    loop {
        let looked = tokio::select! {
            () = &mut ended => return Ok(Exit::Done),
            looked = looks.recv() => looked.ok_or_else(looking_ended)?,
        };
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        match looked {
            Err(error) => {
                if trouble.as_ref() != Some(&error) {
                    output::note(&format!("{at} {error}; looking again"));
                }
                trouble = Some(error);
            }
            Ok(moment) => {
                trouble = None;
                speeds.learn(&moment, Instant::now());
                if context.output == Output::Json {
                    output::line(&serde_json::to_string(&Document { at, moment: &moment })?)?;
                } else {
                    for line in lines::news(before.as_ref(), &moment, &speeds) {
                        output::line(&format!("{at} {line}"))?;
                    }
                }
                before = Some(moment);
            }
        }
    }
}

/// The terminal as a screen. Left as it was when this is dropped; a panic does so too, by the hook of `try_init`.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // With the terminal gone there is nothing to leave clean.
        let _ = ratatui::try_restore();
    }
}

async fn show(context: &Context, mut looks: mpsc::Receiver<Looked>) -> anyhow::Result<Exit> {
    let mut look = Look::new(&context.backends, output::has_colours());
    let ended = told_to_end()?;
    tokio::pin!(ended);
    let mut screen = Screen::take()?;
    let mut wishes = listen_to_keys();
    loop {
        screen.0.draw(|frame| screen::draw(frame, &mut look))?;
        tokio::select! {
            () = &mut ended => return Ok(Exit::Done),
            wish = wishes.recv() => match wish {
                // Without a keyboard nobody could ask it to end.
                None | Some(Wish::Quit) => return Ok(Exit::Done),
                Some(Wish::Scroll(rows)) => look.scroll(rows),
                Some(Wish::Redraw) => {}
            },
            looked = looks.recv() => look.learn(looked.ok_or_else(looking_ended)?),
            // The clock in the corner moves, and the age of what was seen.
            () = sleep(EVERY) => {}
        }
    }
}

/// What a key asks for.
enum Wish {
    Quit,
    Scroll(isize),
    Redraw,
}

/// Keys are read by a thread of their own, because reading blocks; it ends with the process.
fn listen_to_keys() -> mpsc::Receiver<Wish> {
    let (sender, wishes) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(wish(&event)).is_err() {
                return;
            }
        }
    });
    wishes
}

fn wish(event: &Event) -> Wish {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return Wish::Redraw };
    match code {
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Wish::Scroll(10),
        KeyCode::PageUp => Wish::Scroll(-10),
        KeyCode::Home => Wish::Scroll(isize::MIN),
        KeyCode::End => Wish::Scroll(isize::MAX),
        _ => Wish::Redraw,
    }
}
