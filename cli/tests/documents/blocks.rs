//! The blocks of shell lines in a document.

/// The lines of one block, in their order.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) lines: Vec<Line>,
}

/// One line as somebody would paste it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) file: String,
    pub(crate) text: String,
    /// What stands after two blanks and a `#`.
    pub(crate) comment: String,
}

/// The blocks of ```` ```sh ```` in `text`, which came from `file`. Lines that end with a backslash go on.
pub(crate) fn blocks(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut begun = String::new();
    for line in text.lines().map(str::trim) {
        match (&mut open, line) {
            (None, "```sh") => open = Some(Block::default()),
            (None, "```bash" | "```shell" | "```console") => panic!("{file}: {line} is written ```sh"),
            (None, _) | (Some(_), "") => {}
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => {
                begun.push_str(line);
                if begun.ends_with('\\') {
                    begun.pop();
                    continue;
                }
                let (text, comment) = begun.split_once("  # ").unwrap_or((&begun, ""));
                let (text, comment) = (text.trim().to_owned(), comment.trim().to_owned());
                block.lines.push(Line { file: file.to_owned(), text, comment });
                begun.clear();
            }
        }
    }
    assert!(open.is_none() && begun.is_empty(), "{file}: a block is not closed");
    blocks
}
