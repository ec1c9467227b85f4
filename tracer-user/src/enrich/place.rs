//! Places on the globe. Pure.

/// A point on the globe, in degrees; always one that exists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    latitude: f64,
    longitude: f64,
}

/// Mean radius of the earth (IUGG).
const EARTH_KM: f64 = 6371.0;

impl Position {
    /// `None` for what is no point of the globe.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let is_point = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        is_point.then_some(Self { latitude, longitude })
    }

    /// The distance over the ground: haversine, exact to half a percent.
    pub fn km_to(self, other: Self) -> u32 {
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let north = ((there - here) / 2.0).sin().powi(2);
        let east = ((other.longitude - self.longitude).to_radians() / 2.0).sin().powi(2);
        let half = (north + here.cos() * there.cos() * east).clamp(0.0, 1.0);
        // At most half of the circumference: it fits.
        (2.0 * EARTH_KM * half.sqrt().asin()).round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_that_are_known() {
        let place = |latitude, longitude| Position::new(latitude, longitude).unwrap();
        let (madrid, paris, sydney) = (place(40.42, -3.70), place(48.86, 2.35), place(-33.87, 151.21));
        assert_eq!(madrid.km_to(madrid), 0);
        assert!((1045..1060).contains(&madrid.km_to(paris)), "{}", madrid.km_to(paris));
        assert!((17_600..17_750).contains(&madrid.km_to(sydney)), "{}", madrid.km_to(sydney));
        // Over the date line it is not far.
        assert!(place(0.0, 179.9).km_to(place(0.0, -179.9)) < 30);
    }

    #[test]
    fn what_is_no_place() {
        for (latitude, longitude) in [(90.1, 0.0), (0.0, 180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::new(latitude, longitude), None);
        }
    }
}
