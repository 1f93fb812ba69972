//! Where a person is named in text: what was done by hand, and rows that MySQL refused. Only what names the person
//! changes there: a product, a round or a stock may have the same number.

use sqlx::MySqlPool;

use crate::ids::UserId;

/// A row whose text names the user, with the text without the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mention {
    /// In `operator_action`.
    Action {
        /// Its number.
        id: i64,
        /// What came of the action.
        result: String,
    },
    /// In `log_dead`.
    Refused {
        /// Its number.
        id: i64,
        /// The row in the words of the log; it can be logged again as before.
        detail: String,
        /// Whether its name is that of the person.
        named: bool,
        /// Why it was refused; empty if that may quote the person.
        message: String,
    },
}

/// Rows of `operator_action` and `log_dead` that name a user in their text. Both tables are small.
///
/// # Errors
/// Those of MySQL.
pub async fn mentions(db: &MySqlPool, user: UserId) -> sqlx::Result<Vec<Mention>> {
    let like = format!("%{user}%");
    let actions: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, result FROM operator_action WHERE result LIKE ?").bind(&like).fetch_all(db).await?;
    let refused: Vec<(i64, String, String, String)> =
        sqlx::query_as("SELECT id, name, detail, message FROM log_dead WHERE name LIKE ? OR detail LIKE ?")
            .bind(&like)
            .bind(&like)
            .fetch_all(db)
            .await?;
    let actions = actions.into_iter().filter_map(|(id, text)| {
        let result = without_user(&text, user);
        (result != text).then_some(Mention::Action { id, result })
    });
    let refused = refused.into_iter().filter_map(|(id, name, text, message)| {
        let (detail, named) = (without_person(&text, user), without_user(&name, user) != name);
        let quotes = named || message.contains(&user.to_string());
        let message = if quotes { String::new() } else { message };
        (named || detail != text).then_some(Mention::Refused { id, detail, named, message })
    });
    Ok(actions.chain(refused).collect())
}

/// Writes the text without the name.
///
/// # Errors
/// Those of MySQL.
pub async fn silence(db: &MySqlPool, mention: &Mention) -> sqlx::Result<()> {
    let query = match mention {
        Mention::Action { id, result } => {
            sqlx::query("UPDATE operator_action SET result = ? WHERE id = ?").bind(result).bind(id)
        }
        Mention::Refused { id, detail, named, message } => sqlx::query(
            "UPDATE log_dead SET detail = ?, message = ?, name = IF(?, CONCAT('erased ', id), name) WHERE id = ?",
        )
        .bind(detail)
        .bind(message)
        .bind(named)
        .bind(id),
    };
    query.execute(db).await.map(drop)
}

/// The text with `user ?` wherever it says `user` and the number.
fn without_user(text: &str, user: UserId) -> String {
    let name = format!("user {user}");
    let mut parts = text.split(&name);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_longer = part.starts_with(|c: char| c.is_ascii_digit());
        kept.push_str(if is_longer { &name } else { "user ?" });
        kept.push_str(part);
    }
    kept
}

/// A row in the words of the log, a JSON object of texts, without the user: not the last person any more nor the one
/// who blocks, and nobody among the people. One that was cut stays as it is otherwise, so it is not parsed.
fn without_person(detail: &str, user: UserId) -> String {
    const PEOPLE: &str = "\"people\":\"";
    let mut kept = detail.to_owned();
    for field in ["lu", "bu"] {
        kept = kept.replace(&format!("\"{field}\":\"{user}\""), &format!("\"{field}\":\"\""));
    }
    let Some(start) = kept.find(PEOPLE).map(|at| at + PEOPLE.len()) else { return kept };
    let end = kept[start..].find('"').map_or(kept.len(), |at| start + at);
    let (number, nobody) = (user.to_string(), UserId::NOBODY.to_string());
    let disown = |person: &str| {
        let mut parts: Vec<&str> = person.split(',').collect();
        if parts.get(1) == Some(&number.as_str()) {
            parts[1] = &nobody;
        }
        parts.join(",")
    };
    let people: Vec<String> = kept[start..end].split(';').map(disown).collect();
    format!("{}{}{}", &kept[..start], people.join(";"), &kept[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_user_is_taken_out() {
        let cases = [
            ("goes on, without user 7", "goes on, without user ?"),
            ("user 7, user 77 and user 7 of 7", "user ?, user 77 and user ? of 7"),
            ("stock is 7", "stock is 7"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(without_user(text, UserId(7)), expected);
        }
    }

    #[test]
    fn a_refused_row_keeps_all_numbers_but_the_persons() {
        let cases = [
            (
                r#"{"bu":"","c":"webhook","lu":"7","n":"7,0,0,7","p":"7","people":"7,7,S,7,7;8,77,S,7;9,7,X","r":"7"}"#,
                r#"{"bu":"","c":"webhook","lu":"","n":"7,0,0,7","p":"7","people":"7,0,S,7,7;8,77,S,7;9,0,X","r":"7"}"#,
            ),
            (
                r#"{"bu":"7","lu":"77","p":"7","people":"","v":"7"}"#,
                r#"{"bu":"","lu":"77","p":"7","people":"","v":"7"}"#,
            ),
            (r#"{"k":"round","people":"1,7,S,3;2,7"#, r#"{"k":"round","people":"1,0,S,3;2,0"#),
            (r#"{"k":"product","p":"7","stock":"7"}"#, r#"{"k":"product","p":"7","stock":"7"}"#),
        ];
        for (detail, expected) in cases {
            assert_eq!(without_person(detail, UserId(7)), expected);
        }
    }
}
