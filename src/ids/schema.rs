//! How names of things look in the description of the HTTP API.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::{Channel, Place, ProductId, Round, Sku, UserId};

macro_rules! schema {
    ($name:ident, $object:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let object: Object = $object;
                RefOr::T(Schema::Object(object))
            }
        }

        impl ToSchema for $name {}
    };
}

fn number(format: KnownFormat, least: i64, most: i64, what: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(least))
        .maximum(Some(most))
        .description(Some(what))
        .build()
}

fn text(pattern: &str, chars: (usize, usize), what: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .min_length(Some(chars.0))
        .max_length(Some(chars.1))
        .description(Some(what))
        .build()
}

schema!(ProductId, number(KnownFormat::Int64, 1, i64::MAX, "A product's number"));
schema!(UserId, number(KnownFormat::Int64, 0, i64::MAX, "A user's number; 0 stands for those who were erased"));
schema!(Round, number(KnownFormat::Int64, 1, i64::from(u32::MAX), "One restocking of one product, counted from 1"));
schema!(Channel, text("^[a-z][a-z0-9_]{0,15}$", (1, 16), "A way to reach people, such as `webhook`"));
schema!(
    Sku,
    text(
        r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$",
        (1, 64),
        "A product's code in the shop; upper and lower case differ"
    )
);
schema!(
    Place,
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A place in line: when they subscribed, in microseconds, UTC; unique within a product"))
        .build()
);
