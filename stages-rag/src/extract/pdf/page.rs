use std::rc::Rc;

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::font::{self, Font, Fonts};
use super::layout::{Layout, Matrix};
use super::lexer::{Lexer, Token};
use super::{Budget, dictionary, number};
use crate::corpus::{Limit, SkipReason};

/// How deep forms may stand in forms, and saved states in saved states.
const DEEPEST_FORM: usize = 8;
const DEEPEST_STATE: usize = 256;

/// How far up a page looks for what it has from the folder of pages that it is in.
const ANCESTORS: usize = 64;

/// The most words before one that does something with them: lines are drawn with six, and text is shown in a list.
const OPERANDS: usize = 1 << 16;

/// How much is done between two looks at the clock.
const BETWEEN_LOOKS: usize = 1024;

/// Reads the text of a page, up to a number of bytes.
pub(super) fn text(
    document: &Document,
    page: ObjectId,
    fonts: &mut Fonts,
    budget: &mut Budget,
    most: usize,
) -> Result<String, SkipReason> {
    budget.check_time()?;
    let mut content = Vec::new();
    for part in document.get_page_contents(page) {
        if let Ok(stream) = document.get_object(part).and_then(Object::as_stream) {
            content.extend(budget.unpack(stream)?);
            // A word does not go on in the next part.
            content.push(b'\n');
        }
    }
    let mut reader = Reader { document, fonts, budget, most, work: 0, layout: Layout::default() };
    reader.read(&content, resources(document, page), State::new(Matrix::IDENTITY), 0)?;
    Ok(reader.layout.finish())
}

/// What a page may name: what it says itself, or what the folder that it is in says.
fn resources(document: &Document, page: ObjectId) -> Option<&Dictionary> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..ANCESTORS {
        if let Some(found) = dictionary(document, node, b"Resources") {
            return Some(found);
        }
        node = dictionary(document, node, b"Parent")?;
    }
    None
}

struct Reader<'a> {
    document: &'a Document,
    fonts: &'a mut Fonts,
    budget: &'a mut Budget,
    most: usize,
    /// The operators and characters that were read.
    work: usize,
    layout: Layout,
}

/// How text is shown.
#[derive(Clone)]
struct State {
    page: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    between_characters: f32,
    between_words: f32,
    stretch: f32,
    leading: f32,
    rise: f32,
    /// Where the next character stands, and where its line began.
    at: Matrix,
    line: Matrix,
}

impl State {
    fn new(page: Matrix) -> Self {
        Self {
            page,
            font: None,
            size: 1.0,
            between_characters: 0.0,
            between_words: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
            at: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
        }
    }

    fn next_line(&mut self, x: f32, y: f32) {
        self.line = Matrix::moved(x, y).then(self.line);
        self.at = self.line;
    }

    fn advance(&mut self, by: f32) {
        self.at = Matrix::moved(by, 0.0).then(self.at);
    }
}

/// The last `N` numbers; a word that is none, or is missing, counts as zero.
fn last<const N: usize>(operands: &[Token<'_>]) -> [f32; N] {
    let mut numbers = [0.0; N];
    for (number, operand) in numbers.iter_mut().rev().zip(operands.iter().rev()) {
        if let Token::Number(value) = operand {
            *number = *value;
        }
    }
    numbers
}

impl Reader<'_> {
    fn read(
        &mut self,
        content: &[u8],
        resources: Option<&Dictionary>,
        mut state: State,
        depth: usize,
    ) -> Result<(), SkipReason> {
        let mut saved = Vec::new();
        let mut too_deep = 0_usize;
        let mut operands = Vec::new();
        let mut words = Lexer::new(content);
        while let Some(word) = words.next() {
            let Token::Operator(operator) = word else {
                if operands.len() < OPERANDS {
                    operands.push(word);
                }
                continue;
            };
            self.go_on()?;
            match operator {
                b"q" if saved.len() < DEEPEST_STATE => saved.push(state.clone()),
                b"q" => too_deep += 1,
                b"Q" if too_deep > 0 => too_deep -= 1,
                b"Q" => state = saved.pop().unwrap_or(state),
                b"ID" => words.skip_image(),
                b"Tf" => state.size = last::<1>(&operands)[0],
                _ => {}
            }
            match (operator, operands.as_slice()) {
                (b"Tf", [.., Token::Name(name), _]) => state.font = self.font(resources, name)?,
                (b"Do", [.., Token::Name(name)]) => self.form(resources, name, &state, depth)?,
                (b"Tj" | b"'" | b"\"" | b"TJ", shown) => self.show(&mut state, operator, shown)?,
                (_, operands) => set(&mut state, operator, operands),
            }
            operands.clear();
        }
        Ok(())
    }

    fn font(&mut self, resources: Option<&Dictionary>, name: &[u8]) -> Result<Option<Rc<Font>>, SkipReason> {
        let font = resources.and_then(|resources| font::named(self.document, resources, name));
        font.map(|font| self.fonts.get(self.document, font, self.budget)).transpose()
    }

    /// Reads a part of the page that is kept apart, to be used more than once.
    fn form(
        &mut self,
        resources: Option<&Dictionary>,
        name: &[u8],
        state: &State,
        depth: usize,
    ) -> Result<(), SkipReason> {
        let forms = resources.and_then(|resources| dictionary(self.document, resources, b"XObject"));
        let form = forms.and_then(|forms| forms.get_deref(name, self.document).and_then(Object::as_stream).ok());
        let is_form =
            |dict: &Dictionary| dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Form");
        let Some(form) = form.filter(|form| depth < DEEPEST_FORM && is_form(&form.dict)) else { return Ok(()) };
        let content = self.budget.unpack(form)?;
        let mut inner = state.clone();
        if let Ok(list) = form.dict.get_deref(b"Matrix", self.document).and_then(Object::as_array) {
            let numbers: Option<Vec<f32>> = list.iter().take(7).map(|item| number(self.document, item)).collect();
            if let Some(matrix) = numbers.and_then(|numbers| <[f32; 6]>::try_from(numbers).ok()) {
                inner.page = Matrix(matrix).then(state.page);
            }
        }
        let own = dictionary(self.document, &form.dict, b"Resources");
        self.read(&content, own.or(resources), inner, depth + 1)
    }

    fn show(&mut self, state: &mut State, operator: &[u8], operands: &[Token<'_>]) -> Result<(), SkipReason> {
        if operator == b"\"" {
            [state.between_words, state.between_characters, _] = last(operands);
        }
        if operator == b"'" || operator == b"\"" {
            state.next_line(0.0, -state.leading);
        }
        for operand in operands {
            match operand {
                Token::Text(bytes) => self.show_text(state, bytes)?,
                Token::Number(back) if operator == b"TJ" => state.advance(-back / 1000.0 * state.size * state.stretch),
                _ => {}
            }
        }
        Ok(())
    }

    fn show_text(&mut self, state: &mut State, bytes: &[u8]) -> Result<(), SkipReason> {
        let Some(font) = state.font.clone() else { return Ok(()) };
        font.each(bytes, |glyph| {
            let width = glyph.width / 1000.0;
            let sized = Matrix([state.size * state.stretch, 0.0, 0.0, state.size, 0.0, state.rise]);
            self.layout.show(sized.then(state.at).then(state.page), width, glyph.text);
            let spacing = state.between_characters + if glyph.is_space { state.between_words } else { 0.0 };
            state.advance((width * state.size + spacing) * state.stretch);
            // One word may be as long as the page, and each of its bytes may mean a hundred.
            if self.layout.len() > self.most {
                return Err(SkipReason::TooLarge(Limit::TextBytes));
            }
            self.go_on()
        })
    }

    /// Counts a piece of work; fails once the time is over.
    fn go_on(&mut self) -> Result<(), SkipReason> {
        self.work += 1;
        if self.work.is_multiple_of(BETWEEN_LOOKS) { self.budget.check_time() } else { Ok(()) }
    }
}

/// Does what only changes how text is shown.
fn set(state: &mut State, operator: &[u8], operands: &[Token<'_>]) {
    match operator {
        b"cm" => state.page = Matrix(last(operands)).then(state.page),
        b"BT" => (state.at, state.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
        b"Tc" => [state.between_characters] = last(operands),
        b"Tw" => [state.between_words] = last(operands),
        b"Tz" => state.stretch = last::<1>(operands)[0] / 100.0,
        b"TL" => [state.leading] = last(operands),
        b"Ts" => [state.rise] = last(operands),
        b"Td" | b"TD" => {
            let [x, y] = last(operands);
            if operator == b"TD" {
                state.leading = -y;
            }
            state.next_line(x, y);
        }
        b"Tm" => {
            state.line = Matrix(last(operands));
            state.at = state.line;
        }
        b"T*" => state.next_line(0.0, -state.leading),
        _ => {}
    }
}
