//! Statements over many values in few sizes, so that each is prepared once and kept.
//!
//! One that is not kept is closed after its use, by a packet that nobody answers; the driver leaves Nagle's algorithm on, so
//! that what is asked next waits for the server's delayed ACK: 40 ms.

use sqlx::{MySql, QueryBuilder};

/// The greatest size.
pub(crate) const SIZE_MAX: usize = 4_096;

/// These values filled up to the next power of two with the last of them; as they are beyond [`SIZE_MAX`].
pub(crate) fn filled<T>(values: &[T]) -> impl Iterator<Item = &T> {
    let size = match values.len() {
        count @ 1..=SIZE_MAX => count.next_power_of_two(),
        count => count,
    };
    values.iter().chain(values.last().into_iter().cycle()).take(size)
}

/// Binds a number of each of these values, [`filled`], as a list with commas; returns how many.
pub(crate) fn push_filled<T>(query: &mut QueryBuilder<MySql>, values: &[T], number: impl Fn(&T) -> i64) -> usize {
    let (mut list, mut bound) = (query.separated(", "), 0);
    for value in filled(values) {
        list.push_bind(number(value));
        bound += 1;
    }
    bound
}

/// These values in portions whose sizes are powers of two up to `most`, itself one: the greatest first.
pub(crate) fn portions<T>(mut values: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = 1 << values.len().min(most).checked_ilog2()?;
        let (portion, rest) = values.split_at(size);
        values = rest;
        Some(portion)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_have_few_sizes_and_lose_nobody() {
        let values: Vec<usize> = (0..1_099).collect();
        let split: Vec<&[usize]> = portions(&values, 512).collect();
        assert_eq!(split.iter().map(|portion| portion.len()).collect::<Vec<_>>(), [512, 512, 64, 8, 2, 1]);
        assert_eq!(split.concat(), values);
        assert_eq!(portions(&values[..0], 512).count(), 0);
    }

    #[test]
    fn values_are_filled_with_the_last() {
        assert_eq!(filled(&[1, 2, 3, 4, 5]).copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 5, 5, 5]);
        assert_eq!(filled(&[1, 2]).count(), 2);
        assert_eq!(filled::<i64>(&[]).count(), 0);
        assert_eq!(filled(&[0; SIZE_MAX + 1]).count(), SIZE_MAX + 1);
    }
}
