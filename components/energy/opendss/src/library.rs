//! The OpenDSS library, loaded at run time: a [`Context`] is one OpenDSS of its own within this process.
//!
//! Everything that steps outside the language's safety for OpenDSS is in this file. What holds it together:
//! - A function is only called with the signature that dss_capi declares for it, and only on a context that is alive.
//! - A context is used by one thread at a time: nothing here takes it by shared reference.
//! - Arrays that the library allocates are copied and given back before the call returns.
#![allow(unsafe_code)]

use crate::error::DssError;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr;

type Raw = *const c_void;
type GetText = unsafe extern "C" fn(Raw) -> *const c_char;
type GetInteger = unsafe extern "C" fn(Raw) -> i32;
type GetFlag = unsafe extern "C" fn(Raw) -> u16;
type GetNumber = unsafe extern "C" fn(Raw) -> f64;
type GetNumbers = unsafe extern "C" fn(Raw, *mut *mut f64, *mut i32);
type GetIntegers = unsafe extern "C" fn(Raw, *mut *mut i32, *mut i32);
type GetTexts = unsafe extern "C" fn(Raw, *mut *mut *mut c_char, *mut i32);
type SetText = unsafe extern "C" fn(Raw, *const c_char);
type SelectByText = unsafe extern "C" fn(Raw, *const c_char) -> i32;
type SetFlag = unsafe extern "C" fn(Raw, u16);

/// What the library is called where the system keeps its libraries.
const FILE_NAME: &str = "libdss_capi.so";

/// The most that any answer may have; beyond it the library is not the one that it says it is.
const LARGEST: usize = 100_000_000;

/// One OpenDSS.
pub(crate) struct Context {
    raw: Raw,
    functions: Functions,
    /// Never unloaded: the runtime of Free Pascal is not made for it.
    _library: ManuallyDrop<Library>,
}

// SAFETY: a context has no ties to the thread that made it (dss_capi: "contexts can be used from any thread, one at a
// time"), and every method that touches it takes it by unique reference.
unsafe impl Send for Context {}

/// Declares the functions that are taken from the library.
macro_rules! functions {
    ( $( $name:ident: $kind:ty = $symbol:literal, )+ ) => {
        struct Functions {
            $( $name: $kind, )+
        }

        impl Functions {
            fn of(library: &Library, path: &Path) -> Result<Self, DssError> {
                let missing = |symbol: &'static str, source| DssError::Symbol {
                    path: path.to_owned(),
                    symbol,
                    source,
                };
                Ok(Self {
                    // SAFETY: the signature is the one that dss_capi_ctx.h declares for this name.
                    $( $name: *unsafe { library.get::<$kind>($symbol.as_bytes()) }
                        .map_err(|source| missing($symbol, source))?, )+
                })
            }
        }
    };
}

functions! {
    new: unsafe extern "C" fn() -> Raw = "ctx_New",
    dispose: unsafe extern "C" fn(Raw) = "ctx_Dispose",
    start: unsafe extern "C" fn(Raw, c_int) -> u16 = "ctx_DSS_Start",
    version: GetText = "ctx_DSS_Get_Version",
    allow_forms: SetFlag = "ctx_DSS_Set_AllowForms",
    allow_change_dir: SetFlag = "ctx_DSS_Set_AllowChangeDir",
    command: SetText = "ctx_Text_Set_Command",
    result: GetText = "ctx_Text_Get_Result",
    error_number: GetInteger = "ctx_Error_Get_Number",
    error_description: GetText = "ctx_Error_Get_Description",
    bus_names: GetTexts = "ctx_Circuit_Get_AllBusNames",
    select_bus: SelectByText = "ctx_Circuit_SetActiveBus",
    bus_base_kv: GetNumber = "ctx_Bus_Get_kVBase",
    bus_nodes: GetIntegers = "ctx_Bus_Get_Nodes",
    bus_voltages: GetNumbers = "ctx_Bus_Get_Voltages",
    select_element: SelectByText = "ctx_Circuit_SetActiveElement",
    first_branch: GetInteger = "ctx_PDElements_Get_First",
    next_branch: GetInteger = "ctx_PDElements_Get_Next",
    branch_name: GetText = "ctx_PDElements_Get_Name",
    element_buses: GetTexts = "ctx_CktElement_Get_BusNames",
    element_nodes: GetIntegers = "ctx_CktElement_Get_NodeOrder",
    element_conductors: GetInteger = "ctx_CktElement_Get_NumConductors",
    element_currents: GetNumbers = "ctx_CktElement_Get_Currents",
    element_losses: GetNumbers = "ctx_CktElement_Get_Losses",
    element_normal_amps: GetNumber = "ctx_CktElement_Get_NormalAmps",
    total_power: GetNumbers = "ctx_Circuit_Get_TotalPower",
    solve: unsafe extern "C" fn(Raw) = "ctx_Solution_Solve",
    converged: GetFlag = "ctx_Solution_Get_Converged",
    iterations: GetInteger = "ctx_Solution_Get_Iterations",
    dispose_numbers: unsafe extern "C" fn(*mut *mut f64) = "DSS_Dispose_PDouble",
    dispose_integers: unsafe extern "C" fn(*mut *mut i32) = "DSS_Dispose_PInteger",
    dispose_texts: unsafe extern "C" fn(*mut *mut *mut c_char, i32) = "DSS_Dispose_PPAnsiChar",
}

/// An answer that is a number, a list, or a text.
macro_rules! getters {
    ( $( $(#[$about:meta])+ $name:ident() -> $result:ty = $by:ident; )+ ) => {
        impl Context {
            $( $(#[$about])+ pub(crate) fn $name(&mut self) -> Result<$result, DssError> {
                let function = self.functions.$name;
                self.$by(function)
            } )+
        }
    };
}

getters! {
    /// The names of all buses.
    bus_names() -> Vec<String> = texts;
    /// Nominal line-to-neutral voltage of the selected bus in kV; 0 if the model does not say.
    bus_base_kv() -> f64 = number;
    /// The nodes of the selected bus, ascending.
    bus_nodes() -> Vec<i32> = integers;
    /// Real and imaginary part of the voltage of each node of the selected bus in V.
    bus_voltages() -> Vec<f64> = numbers;
    /// Selects the first branch; 0 if there is none.
    first_branch() -> i32 = integer;
    /// Selects the next branch; 0 after the last.
    next_branch() -> i32 = integer;
    /// Class and name of the selected branch.
    branch_name() -> String = text;
    /// The buses of the selected element, with their nodes.
    element_buses() -> Vec<String> = texts;
    /// The nodes of the conductors of the selected element, one terminal after the other.
    element_nodes() -> Vec<i32> = integers;
    /// Conductors of each terminal of the selected element.
    element_conductors() -> i32 = integer;
    /// Real and imaginary part of the current into each conductor of the selected element in A, in the order of the nodes.
    element_currents() -> Vec<f64> = numbers;
    /// Real and reactive losses of the selected element in W and var.
    element_losses() -> Vec<f64> = numbers;
    /// The current that the selected element may carry for ever in A; 0 or less if nobody said.
    element_normal_amps() -> f64 = number;
    /// Real and reactive power that the circuit takes from its sources in kW and kvar, negative for what it takes.
    total_power() -> Vec<f64> = numbers;
    /// Iterations of the latest solution.
    iterations() -> i32 = integer;
}

impl Context {
    /// Loads the library and makes an OpenDSS in it.
    pub(crate) fn open(library: Option<&Path>) -> Result<Self, DssError> {
        let path = locate(library)?;
        // SAFETY: loading runs the library's initialisers. Whoever names a library trusts it as the program itself;
        // dss_capi's set up its own memory and nothing else.
        let loaded = unsafe { Library::new(&path) };
        let library = loaded.map_err(|source| DssError::Load { path: path.clone(), source })?;
        let functions = Functions::of(&library, &path)?;
        // SAFETY: no arguments; the answer is looked at before it is used.
        let raw = unsafe { (functions.new)() };
        if raw.is_null() {
            return Err(DssError::Context);
        }
        let mut context = Self { raw, functions, _library: ManuallyDrop::new(library) };
        // SAFETY: the context is alive.
        unsafe {
            (context.functions.allow_forms)(raw, 0);
            (context.functions.start)(raw, 0);
            (context.functions.allow_change_dir)(raw, 0);
        }
        context.check("start")?;
        Ok(context)
    }

    /// What the library says of itself.
    pub(crate) fn version(&mut self) -> String {
        let version = self.functions.version;
        self.text(version).unwrap_or_default()
    }

    /// Carries out a line of OpenDSS's own language. What it answers.
    pub(crate) fn command(&mut self, line: &str) -> Result<String, DssError> {
        let text = CString::new(line).map_err(|_| DssError::ZeroByte { line: line.to_owned() })?;
        // SAFETY: the context is alive, and the text outlives the call; the library copies it.
        unsafe { (self.functions.command)(self.raw, text.as_ptr()) };
        self.check(line)?;
        let result = self.functions.result;
        self.text(result)
    }

    /// Selects a bus by its name; whether there is one.
    pub(crate) fn select_bus(&mut self, name: &str) -> Result<bool, DssError> {
        let function = self.functions.select_bus;
        self.select(function, name)
    }

    /// Selects an element by class and name, such as `Line.l1`; whether there is one.
    pub(crate) fn select_element(&mut self, name: &str) -> Result<bool, DssError> {
        let function = self.functions.select_element;
        self.select(function, name)
    }

    /// Solves the circuit. Whether it converged.
    pub(crate) fn solve(&mut self) -> Result<bool, DssError> {
        // SAFETY: the context is alive.
        unsafe { (self.functions.solve)(self.raw) };
        self.check("solve")?;
        // SAFETY: the context is alive.
        Ok(unsafe { (self.functions.converged)(self.raw) } != 0)
    }

    fn select(&mut self, function: SelectByText, name: &str) -> Result<bool, DssError> {
        let text = CString::new(name).map_err(|_| DssError::ZeroByte { line: name.to_owned() })?;
        // SAFETY: the context is alive, and the text outlives the call.
        let index = unsafe { function(self.raw, text.as_ptr()) };
        self.check(name)?;
        Ok(index >= 0)
    }

    fn text(&mut self, function: GetText) -> Result<String, DssError> {
        // SAFETY: the context is alive.
        let text = unsafe { function(self.raw) };
        // SAFETY: the library gives null or a text that ends with a zero byte and lives until the next call.
        let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned());
        self.check("read a text")?;
        Ok(text.unwrap_or_default())
    }

    fn integer(&mut self, function: GetInteger) -> Result<i32, DssError> {
        // SAFETY: the context is alive.
        let number = unsafe { function(self.raw) };
        self.check("read a number")?;
        Ok(number)
    }

    fn number(&mut self, function: GetNumber) -> Result<f64, DssError> {
        // SAFETY: the context is alive.
        let number = unsafe { function(self.raw) };
        self.check("read a number")?;
        Ok(number)
    }

    fn numbers(&mut self, function: GetNumbers) -> Result<Vec<f64>, DssError> {
        let (mut data, mut dimensions) = (ptr::null_mut(), [0_i32; 4]);
        // SAFETY: the context is alive; the library allocates an array of dimensions[0] numbers, which is copied here
        // and given back by the function that goes with it.
        let copied = unsafe {
            function(self.raw, &raw mut data, dimensions.as_mut_ptr());
            let copied = copy(data, dimensions[0]);
            (self.functions.dispose_numbers)(&raw mut data);
            copied
        };
        self.check("read numbers")?;
        copied
    }

    fn integers(&mut self, function: GetIntegers) -> Result<Vec<i32>, DssError> {
        let (mut data, mut dimensions) = (ptr::null_mut(), [0_i32; 4]);
        // SAFETY: as for `numbers`.
        let copied = unsafe {
            function(self.raw, &raw mut data, dimensions.as_mut_ptr());
            let copied = copy(data, dimensions[0]);
            (self.functions.dispose_integers)(&raw mut data);
            copied
        };
        self.check("read numbers")?;
        copied
    }

    fn texts(&mut self, function: GetTexts) -> Result<Vec<String>, DssError> {
        let (mut data, mut dimensions) = (ptr::null_mut(), [0_i32; 4]);
        // SAFETY: as for `numbers`; every text in the array is null or ends with a zero byte. The function that gives
        // it back wants to know how many there are.
        let copied = unsafe {
            function(self.raw, &raw mut data, dimensions.as_mut_ptr());
            let copied = copy(data, dimensions[0]).map(|texts| {
                let owned = |text: *mut c_char| {
                    if text.is_null() {
                        String::new()
                    } else {
                        CStr::from_ptr(text).to_string_lossy().into_owned()
                    }
                };
                texts.into_iter().map(owned).collect()
            });
            (self.functions.dispose_texts)(&raw mut data, dimensions[0]);
            copied
        };
        self.check("read texts")?;
        copied
    }

    /// The error of the call before, if there was one. Reading the number clears it.
    fn check(&mut self, doing: &str) -> Result<(), DssError> {
        // SAFETY: the context is alive. The description is read first, for the number clears both.
        let (description, number) = unsafe {
            let description = (self.functions.error_description)(self.raw);
            let text =
                (!description.is_null()).then(|| CStr::from_ptr(description).to_string_lossy().into_owned());
            (text.unwrap_or_default(), (self.functions.error_number)(self.raw))
        };
        if number == 0 {
            return Ok(());
        }
        let said = description.split_whitespace().collect::<Vec<_>>().join(" ");
        Err(DssError::Said { doing: doing.to_owned(), number, said })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is alive, and this is the last call on it. It wants the context itself, whatever its
        // header says of a pointer to it (0.14.5).
        unsafe { (self.functions.dispose)(self.raw) };
    }
}

/// A copy of `count` values.
///
/// # Safety
/// `data` is null or points to that many.
unsafe fn copy<T: Copy>(data: *const T, count: i32) -> Result<Vec<T>, DssError> {
    let count =
        usize::try_from(count).ok().filter(|count| *count <= LARGEST).ok_or(DssError::Size { count })?;
    if data.is_null() || count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: as above.
    Ok(unsafe { std::slice::from_raw_parts(data, count) }.to_vec())
}

/// The library to load: the file that was named, the one in the folder that was named, or whatever the system has.
fn locate(named: Option<&Path>) -> Result<PathBuf, DssError> {
    let Some(named) = named else { return Ok(FILE_NAME.into()) };
    if !named.is_dir() {
        return Ok(named.to_owned());
    }
    let unreadable = |source| DssError::Folder { path: named.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(named).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Wheels add a hash to the name; `libdss_capid` is the same with diagnostics.
        let rest = name.strip_prefix("libdss_capi").unwrap_or("d");
        if rest.starts_with(['-', '.']) && rest.ends_with(".so") {
            found.push(path);
        }
    }
    found.sort();
    found.into_iter().next().ok_or_else(|| DssError::NotInFolder { path: named.to_owned() })
}
