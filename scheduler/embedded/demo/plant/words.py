"""The vocabulary of the demo plant. Some of it is not ASCII on purpose: real plants aren't either."""

SITES = (
    ("Mühlbach Mill", "Mühlbach", "DE", "Europe/Berlin"),
    ("Ridgeway Works", "Sheffield", "GB", "Europe/London"),
    ("Fosse-sur-Eau", "Fosse", "FR", "Europe/Paris"),
    ("Łódź Packing", "Łódź", "PL", "Europe/Warsaw"),
    ("Three Rivers", "Pittsburgh", "US", "America/New_York"),
)
ASSETS = (
    ("Pump", "Halloran", "HX"),
    ("Conveyor", "Bandwerk", "BW"),
    ("Compressor", "Airline & Sons", "AC"),
    ("Gearbox", "Zahnrad AG", "ZG"),
    ("Boiler", "Northheat", "NB"),
    ("Forklift", "Liftwell", "FL"),
    ("Motor", "Ampère", "M"),
    ("Press", "Krümmer", "KP"),
)
PARTS = (
    ("Bearing", "Bearings"),
    ("V-belt", "Drives"),
    ("Oil filter", "Filters"),
    ("O-ring", "Seals"),
    ("Contactor", "Electrical"),
    ("Fuse", "Electrical"),
    ("Impeller", "Pump parts"),
    ("Hydraulic hose", "Hydraulics"),
    ("Grease cartridge", "Consumables"),
    ("Thermocouple", "Sensors"),
)
UNITS = ("each", "m", "kg", "l", "box")
VENDOR_FIRST = (
    "Bright",
    "Halden",
    "Keller",
    "Northern",
    "Ørsted",
    "Pérez",
    "Quint",
    "Słowik",
    "Taylor",
    "Vogel",
)
VENDOR_LAST = ("Bearings", "Industrial Supply", "Hydraulics GmbH", "Tools Ltd", "& Daughters", "Electric")
PEOPLE = ("a.novak", "b.okafor", "c.lindqvist", "d.o'brien", "e.garcía", "f.yamada", "g.weiß", "h.silva")
FAULTS = (
    "leaks at the seal",
    "runs hot",
    "makes a grinding noise",
    "won't start",
    "trips the breaker",
    "vibrates above 4 mm/s",
    'shows error "E-17"',
    "lost pressure overnight",
)
NOTES = (
    "Operator reports it since the early shift.",
    "Seen on the round; 30 °C above normal.",
    "Third time this month \u2013 please check alignment.\nSpare is on the shelf.",
    "Können wir das vor dem Wochenende erledigen?",
    "Photo sent by mail 📷",
    "",
)
